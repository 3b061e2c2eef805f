"""Valid messages to begin from. Pure."""

PAYLOAD = {"summary": "22 % used", "used": 0.22, "by": [{"name": "sda", "bytes": 4096}], "ok": None}

REQUESTS = [
    {"type": "status", "protocol": 1, "targets": ["disk", "load"], "after": "disk"},
    {"type": "status"},
    {"type": "trigger", "sense": "nobody", "payload": PAYLOAD, "wait": False},
    {"type": "pause", "targets": ["nobody", "nothing"], "reason": "it is loud"},
    {"type": "resume", "targets": ["nobody"]},
    {"type": "restart", "groups": ["nobody"]},
    {"type": "reload"},
    {"type": "stop", "now": False},
    {"type": "cursor", "target": "nobody", "source": "disk", "position": 7},
    {"type": "archive"},
    {"type": "follow", "protocol": 1},
]

DOWN = [
    {
        "type": "compute",
        "sense": "disk",
        "trigger_id": 1,
        "kind": "on",
        "signals": [{"id": 3, "sense": "load", "at_us": 1_795_222_998_318_013, "payload": PAYLOAD}],
        "left_out": 2,
        "merged": 1,
        "chain": ["load", "heat"],
        "due_us": 1_795_222_998_318_013,
        "positions": {"load": 3},
        "acknowledged": {"disk": ["epoch", 4]},
    },
    {"type": "compute", "sense": "disk", "trigger_id": 2, "kind": "interval"},
    {"type": "compute", "sense": "nobody", "trigger_id": 2, "kind": "manual"},
    {"type": "acknowledge", "acknowledged": {"disk": ["epoch", 4], "load": ["other", 9]}},
    {"type": "describe", "sense": "nobody"},
    {"type": "stop"},
]


def up(generation: int, boot: str, trigger_id: int) -> list[dict]:
    """What a worker of that generation may say while a compute of `disk` is in flight."""
    said = {"generation": generation}
    cause = {
        "kind": "interval", "boot": boot, "trigger": trigger_id, "depth": 1, "chain": ["load"],
        "signals": [3, 4], "left_out": 0, "merged": 1,
    }  # fmt: skip
    fault = {
        "kind": "error", "message": "ValueError: no", "traceback": "line 1\nline 2", "hint": "",
        "problems": [{"field": ["options", 0], "message": "is none", "hint": ""}],
    }  # fmt: skip
    report = {
        "name": "disk", "fault": None, "epoch": "e", "boot": boot, "trigger_id": trigger_id,
        "positions": {"load": 3}, "signalled": False, "waiting": 0, "migrated": ["0001"],
        "kept_ms": {"readings": 86_400_000},
    }  # fmt: skip
    compute = {"sense": "disk", "trigger_id": trigger_id, "at_us": 1_795_222_998_318_013}
    signal = {"sense": "disk", "epoch": "e", "at_us": 1_795_222_998_318_013, "payload": PAYLOAD}
    return [
        said | {"type": "signal", "seq": trigger_id, "cause": cause, "duration_us": 9} | signal,
        said | {"type": "no_signal", "duration_us": 412} | compute,
        said | {"type": "failed", "outcome": "error", "duration_us": 9, "fault": fault} | compute,
        said | {"type": "failed", "outcome": "refused", "at_us": 9, "fault": fault},
        said | {"type": "ready", "protocol": 1, "preloaded": True, "senses": [report]},
        said | {"type": "boot_failed", "fault": fault},
        said | {"type": "described", "sense": "disk", "doc": "It looks.", "options": {"a": [1]}},
        said | {"type": "stopped"},
        {"generation": 0, "type": "stopped"},
    ]
