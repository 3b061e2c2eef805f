"""CFG-9: a key is declared when it has an effect, a description and a test.

The table says for every declared key what a file that uses it does to the
configuration; what it does to a running nerve is proved where that happens.
"""

import pytest

from nerve.config.models import (
    Config,
    DropWorkflow,
    GroupConfig,
    JournalConfig,
    QueueWorkflow,
    RetentionConfig,
    SenseConfig,
    SenseReflex,
    WorkflowReflex,
)
from nerve.config.schema import json_schema

MODELS = {
    model.__name__: model
    for model in (
        Config,
        SenseConfig,
        GroupConfig,
        RetentionConfig,
        JournalConfig,
        SenseReflex,
        WorkflowReflex,
        QueueWorkflow,
        DropWorkflow,
    )
}
BASE = "senses: {a: , b: }\n"
EFFECTS = {
    "Config.timezone": ("timezone: Asia/Tokyo", lambda c: c.timezone == "Asia/Tokyo"),
    "Config.state_dir": ("state_dir: x", lambda c: c.state_dir == "x"),
    "Config.senses": ("senses: {c: }", lambda c: set(c.senses) == {"c"}),
    "Config.groups": ("groups: {default: }", lambda c: set(c.groups) == {"default"}),
    "Config.reflexes": ("reflexes: [{kind: sense, sense: a, on: b}]", lambda c: len(c.reflexes) == 1),
    "Config.workflows": ("workflows: {w: {overflow: drop}}", lambda c: set(c.workflows) == {"w"}),
    "SenseConfig.use": ("senses: {a: {use: x.y}}", lambda c: c.senses["a"].use == "x.y"),
    "SenseConfig.group": ("senses: {a: {group: g}}", lambda c: c.senses["a"].group == "g"),
    "SenseConfig.throttle": ("senses: {a: {throttle: 1s}}", lambda c: c.senses["a"].throttle_ms == 1_000),
    "SenseConfig.timeout": ("senses: {a: {timeout: 1s}}", lambda c: c.senses["a"].timeout_ms == 1_000),
    "SenseConfig.grace_period": ("senses: {a: {grace_period: 0s}}", lambda c: c.senses["a"].grace_period_ms == 0),
    "SenseConfig.durability": ("senses: {a: {durability: full}}", lambda c: c.senses["a"].durability == "full"),
    "SenseConfig.options": ("senses: {a: {options: {x: [1]}}}", lambda c: c.senses["a"].options == {"x": [1]}),
    "SenseConfig.retention": ("senses: {a: {retention: {rows: 30d}}}", lambda c: c.senses["a"].retention == {"rows": 30 * 86_400_000}),
    "SenseConfig.secrets": ("senses: {a: {secrets: {x: y}}}", lambda c: c.senses["a"].secrets == {"x": "y"}),
    "SenseConfig.env": ("senses: {a: {env: [X_TOKEN]}}", lambda c: c.senses["a"].env == ("X_TOKEN",)),
    "GroupConfig.memory": ("groups: {default: {memory: 512MB}}", lambda c: c.group("default").memory_bytes == 512 * 2**20),
    "GroupConfig.open_files": ("groups: {default: {open_files: 2000}}", lambda c: c.group("default").open_files == 2_000),
    "GroupConfig.processes": ("groups: {default: {processes: 0}}", lambda c: c.group("default").processes == 0),
    "GroupConfig.nice": ("groups: {default: {nice: 5}}", lambda c: c.group("default").nice == 5),
    "GroupConfig.output_lines_per_second": ("groups: {default: {output_lines_per_second: 9}}", lambda c: c.group("default").output_lines_per_second == 9),
    "Config.retention": ("retention: {logs: 2d}", lambda c: c.retention != RetentionConfig()),
    "RetentionConfig.logs": ("retention: {logs: 1d}", lambda c: c.retention.logs_ms == 86_400_000),
    "RetentionConfig.signals": ("retention: {signals: 36h}", lambda c: c.retention.signals_ms == 129_600_000),
    "RetentionConfig.archived": ("retention: {archived: 90d}", lambda c: c.retention.archived_ms == 90 * 86_400_000),
    "RetentionConfig.compress": ("retention: {compress: gzip}", lambda c: c.retention.compress == "gzip"),
    "Config.journal": ("journal: {durability: normal}", lambda c: c.journal != JournalConfig()),
    "JournalConfig.durability": ("journal: {durability: normal}", lambda c: c.journal.durability == "normal"),
    "SenseReflex.kind": ("reflexes: [{kind: sense, sense: a, on: b}]", lambda c: isinstance(c.reflexes[0], SenseReflex)),
    "SenseReflex.sense": ("reflexes: [{kind: sense, sense: [a, b], interval: 1s}]", lambda c: c.reflexes[0].sense == ("a", "b")),
    "SenseReflex.interval": ("reflexes: [{kind: sense, sense: a, interval: 1s}]", lambda c: c.reflexes[0].interval_ms == 1_000),
    "SenseReflex.jitter": ("reflexes: [{kind: sense, sense: a, interval: 1s, jitter: 5ms}]", lambda c: c.reflexes[0].jitter_ms == 5),
    "SenseReflex.align": ("reflexes: [{kind: sense, sense: a, interval: 1s, align: true}]", lambda c: c.reflexes[0].align),
    "SenseReflex.cron": ('reflexes: [{kind: sense, sense: a, cron: "0,30 8-17 * * 1-5"}]', lambda c: c.reflexes[0].cron == "0,30 8-17 * * 1-5"),
    "SenseReflex.timezone": ('reflexes: [{kind: sense, sense: a, cron: "@daily", timezone: Asia/Tokyo}]', lambda c: c.reflexes[0].timezone == "Asia/Tokyo"),
    "SenseReflex.on": ("reflexes: [{kind: sense, sense: a, on: b}]", lambda c: c.reflexes[0].on == ("b",)),
    "SenseReflex.where": ("reflexes: [{kind: sense, sense: a, on: b, where: load > 5}]", lambda c: c.reflexes[0].where.matches({"load": 6}, "b")),
    "SenseReflex.debounce": ("reflexes: [{kind: sense, sense: a, on: b, debounce: 2s}]", lambda c: c.reflexes[0].debounce_ms == 2_000),
    "SenseReflex.missed": ("reflexes: [{kind: sense, sense: a, interval: 1s, missed: all}]", lambda c: c.reflexes[0].missed == "all"),
    "SenseReflex.catchup": ("reflexes: [{kind: sense, sense: a, interval: 1s, missed: once, catchup: 1h}]", lambda c: c.reflexes[0].catchup_ms == 3_600_000),
    "WorkflowReflex.kind": ("workflows: {w: {overflow: drop}}\nreflexes: [{kind: workflow, workflow: w, on: a}]", lambda c: isinstance(c.reflexes[0], WorkflowReflex)),
    "WorkflowReflex.workflow": ("workflows: {w: {overflow: drop}}\nreflexes: [{kind: workflow, workflow: w, on: a}]", lambda c: c.reflexes[0].workflow == "w"),
    "WorkflowReflex.on": ("workflows: {w: {overflow: drop}}\nreflexes: [{kind: workflow, workflow: w, on: [a, b]}]", lambda c: c.reflexes[0].on == ("a", "b")),
    "QueueWorkflow.overflow": ("workflows: {w: {overflow: queue}}", lambda c: isinstance(c.workflows["w"], QueueWorkflow)),
    "QueueWorkflow.concurrency": ("workflows: {w: {overflow: queue, concurrency: 3}}", lambda c: c.workflows["w"].concurrency == 3),
    "QueueWorkflow.max_queue": ("workflows: {w: {overflow: queue, max_queue: 3}}", lambda c: c.workflows["w"].max_queue == 3),
    "DropWorkflow.overflow": ("workflows: {w: {overflow: drop}}", lambda c: isinstance(c.workflows["w"], DropWorkflow)),
    "DropWorkflow.concurrency": ("workflows: {w: {overflow: drop, concurrency: 3}}", lambda c: c.workflows["w"].concurrency == 3),
}  # fmt: skip
DECLARED = {
    f"{name}.{field.alias or key}"
    for name, model in MODELS.items()
    for key, field in model.model_fields.items()
}


def test_every_declared_key_has_an_effect_in_the_table():
    """CFG-9"""
    assert set(EFFECTS) == DECLARED


@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_has_its_effect(load, key):
    """CFG-9"""
    text, has_effect = EFFECTS[key]
    assert has_effect(load(text if "senses:" in text else BASE + text).config)
    assert not has_effect_without(key, has_effect)


def has_effect_without(key, has_effect):
    """Tell whether the same holds of a configuration that says nothing of the key."""
    name = key.partition(".")[0]
    if name not in ("Config", "SenseConfig", "GroupConfig"):
        return False  # without it there is no such reflex or workflow
    return has_effect(Config.model_validate({"senses": {"a": {}, "b": {}}}))


@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_is_described_in_the_schema(key):
    """CFG-9"""
    schema = json_schema()
    model, _, name = key.partition(".")
    properties = schema["properties"] if model == "Config" else schema["$defs"][model]["properties"]
    assert len(properties[name]["description"]) > 10
