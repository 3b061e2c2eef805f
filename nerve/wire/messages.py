"""Everything that is said between the parent and a worker.

Both processes; pure. One discriminated union for each direction, on `type`. `generation`
tells which start of a group's worker spoke, so that a late word of a dead one is recognised.

Every message may arrive twice and must then do nothing new (commit, then tell).
"""

import json
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter
from pydantic_core import to_json

from nerve.config.models import GroupConfig, SenseConfig
from nerve.sense import TriggerKind
from nerve.wire.model import Count, Message, Moment, parse

PROTOCOL: Final = 1
MAX_CAUSES = 100
"""Signals and payloads given by hand that one compute gets; more are counted in `left_out`."""
MAX_CAUSES_BYTES = 1024 * 1024
"""Payloads of these, together, as JSON."""
MAX_CHAIN = 16
"""Senses whose signals lead to one another; a reflex that goes on is taken for a loop."""
MAX_PAYLOAD_BYTES = 1024 * 1024
"""One signal's payload as JSON; beyond it a compute should store a blob."""
MAX_PAYLOAD_DEPTH = 64
"""Levels of lists and mappings in a payload; pydantic's parser stops at 200."""
MAX_TEXT_CHARS = 64 * 1024
"""A traceback or message that goes up; longer ones lose their middle."""

LOAD_TIMEOUT_MS = 30_000
"""For the import of one sense; after it the sense is unavailable and its neighbours go on."""
MIGRATE_TIMEOUT_MS = 120_000
"""For the migrations of one sense at a start; a longer one is made by hand, with nerve stopped."""

MEMORY_FAULT: Final = "memory"
"""Kind of the fault of a compute that came to the memory limit; its worker is renewed."""


def _something(payload: JsonValue) -> JsonValue:
    if payload is None:
        raise ValueError("null is no signal")
    return payload


Payload = Annotated[JsonValue, AfterValidator(_something)]
Acknowledged = dict[str, tuple[str, Count]]
"""Sense to (epoch, seq): its signals up to there are durable with the parent."""


class WorkerSpec(Message):
    """What a worker is given at its start: its own part of the configuration, validated.

    Attributes:
        boot: id of this run of the parent; with `trigger_id` it names one trigger for ever.
        folder: the folder of nerve.yaml, where `senses/` is looked for.
        databases: where the database of every configured sense lies, peers included.
        env: environment variables that senses of this group asked for.
        masked: values to be masked in whatever the worker writes or sends.
        limits: what the group may use up.
        received: for each sense, by epoch, the last `seq` of its outbox that is recorded.
        open_databases: False for a worker that only describes.
        slate: the file where the worker says what it does; empty for one that nobody supervises.
        cgroup: the directory of a cgroup for it; empty where there is none.
        load_timeout_ms, migrate_timeout_ms: soft limits for each sense at the start.
    """

    protocol: Literal[1] = PROTOCOL
    generation: Count
    boot: str
    group: str
    folder: str
    blobs: str
    senses: dict[str, SenseConfig]
    databases: dict[str, str]
    received: dict[str, dict[str, Count]] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    masked: tuple[str, ...] = Field((), repr=False)
    limits: GroupConfig = Field(default_factory=GroupConfig)
    open_databases: bool = True
    slate: str = ""
    cgroup: str = ""
    load_timeout_ms: Count = LOAD_TIMEOUT_MS
    migrate_timeout_ms: Count = MIGRATE_TIMEOUT_MS


# --- down: parent to worker -------------------------------------------------------------


class CauseSignal(Message):
    """A signal among the causes of a compute."""

    id: Count
    sense: str
    at_us: Moment
    payload: Payload


class Given(Message):
    """What was given by hand to one compute.

    Attributes:
        left_out: how many more, older ones, there were.
    """

    payloads: tuple[JsonValue, ...] = Field(max_length=MAX_CAUSES)
    left_out: Count = 0


class ComputeMessage(Message):
    """Run a sense once.

    Attributes:
        given: None where nothing was given by hand.
        positions: for each source among the causes, the last signal this run deals with.
        acknowledged: what has become durable meanwhile, of this sense and others.
    """

    type: Literal["compute"] = "compute"
    sense: str
    trigger_id: Count
    kind: TriggerKind
    signals: tuple[CauseSignal, ...] = Field((), max_length=MAX_CAUSES)
    left_out: Count = 0
    merged: Count = 0
    chain: tuple[str, ...] = Field((), max_length=MAX_CHAIN)
    due_us: Moment | None = None
    given: Given | None = None
    positions: dict[str, Count] = Field(default_factory=dict)
    acknowledged: Acknowledged = Field(default_factory=dict)


class AcknowledgeMessage(Message):
    """What has become durable, where no compute goes that could tell it."""

    type: Literal["acknowledge"] = "acknowledge"
    acknowledged: Acknowledged


class UpdateMessage(Message):
    """What a reload has changed for a worker that goes on.

    Attributes:
        databases: where the database of every configured sense lies now, peers included.
        masked: values to be masked from now on.
        grace_period_ms: of each sense of this worker.
    """

    type: Literal["update"] = "update"
    databases: dict[str, str]
    masked: tuple[str, ...] = Field((), repr=False)
    grace_period_ms: dict[str, Count] = Field(default_factory=dict)


class PlaceMessage(Message):
    """Put back how far a sense has got with the signals of a source, durably."""

    type: Literal["place"] = "place"
    sense: str
    source: str
    position: Count


class DescribeMessage(Message):
    """Say what can be known of a sense without running it."""

    type: Literal["describe"] = "describe"
    sense: str


class StopMessage(Message):
    """Finish, checkpoint, go."""

    type: Literal["stop"] = "stop"


Down = Annotated[
    ComputeMessage
    | AcknowledgeMessage
    | PlaceMessage
    | UpdateMessage
    | DescribeMessage
    | StopMessage,
    Field(discriminator="type"),
]

# --- up: worker to parent ---------------------------------------------------------------


class FieldProblem(Message):
    """What is wrong with one setting of a sense in nerve.yaml.

    Attributes:
        field: its path below the sense, e.g. `["options", "limits", 0]`.
    """

    field: tuple[str | int, ...]
    message: str
    hint: str = ""


class Fault(Message):
    """What went wrong in a worker, for the log.

    Attributes:
        kind: a stable word, e.g. `import_raised`, `migration_failed`, `error`.
        message: one line.
        traceback: the author's frames, or empty.
        hint: what to do, or empty.
        problems: where settings in nerve.yaml do not fit the sense, each of them.
    """

    kind: str
    message: str
    traceback: str = ""
    hint: str = ""
    problems: tuple[FieldProblem, ...] = ()


class UpMessage(Message):
    """Said by a worker of this generation."""

    generation: Count


class Code(Message):
    """The code that a worker has loaded of a sense.

    Attributes:
        roots: the files and folders it consists of; none where that is not known.
        fingerprint: as `nerve.process.code` makes it; empty where it changed meanwhile.
    """

    roots: tuple[str, ...] = ()
    fingerprint: str = ""


class SenseReport(Message):
    """How a sense came up.

    Attributes:
        fault: why it is unavailable; None when it can run.
        epoch: identity of its database; empty where that could not be opened.
        boot, trigger_id: the last trigger whose compute is committed in the database.
        positions: for each source, the last signal the database has dealt with.
        signalled: whether a signal of that last trigger waits in the outbox.
        waiting: signals in the outbox that the parent has not acknowledged yet.
        migrated: revisions applied at this start, oldest first.
        kept_ms: by table, how long its rows are kept.
        code: what was loaded.
    """

    name: str
    fault: Fault | None = None
    epoch: str = ""
    boot: str = ""
    trigger_id: Count = 0
    positions: dict[str, Count] = Field(default_factory=dict)
    signalled: bool = False
    waiting: Count = 0
    migrated: tuple[str, ...] = ()
    kept_ms: dict[str, Count] = Field(default_factory=dict)
    code: Code = Code()


class ReadyMessage(UpMessage):
    """The worker has opened, loaded and migrated what it could.

    Attributes:
        preloaded: whether the fork server had the expensive imports done.
    """

    type: Literal["ready"] = "ready"
    protocol: Literal[1] = PROTOCOL
    preloaded: bool
    senses: tuple[SenseReport, ...]


class BootFailedMessage(UpMessage):
    """The worker as a whole cannot start."""

    type: Literal["boot_failed"] = "boot_failed"
    fault: Fault


class StoredCause(Message):
    """What is stored beside a signal: why it was observed.

    Attributes:
        boot, trigger: the trigger it answers; together they name one for ever.
        depth: length of `chain`; 0 when time did.
        chain: the senses whose signals led to it, the first one first.
        signals: ids of the signals handed over; `left_out` more caused it.
        merged: triggers that were merged into this one.
    """

    kind: TriggerKind
    boot: str
    trigger: Count
    depth: Count
    chain: tuple[str, ...] = Field((), max_length=MAX_CHAIN)
    signals: tuple[Count, ...] = Field((), max_length=MAX_CAUSES)
    left_out: Count = 0
    merged: Count = 0


def writable_as_json(payload: JsonValue) -> JsonValue:
    """Return a payload; raises ValueError for one with a number that JSON does not know."""
    text = to_json(payload)
    if b"NaN" in text or b"Infinity" in text:  # in a string it may stand
        json.dumps(payload, allow_nan=False)
    return payload


class SignalMessage(UpMessage):
    """A signal that is durable in the sense's outbox.

    Attributes:
        seq: its place in the outbox of that `epoch`.
        duration_us: length of the compute; None when repeated from the outbox.
    """

    type: Literal["signal"] = "signal"
    sense: str
    epoch: str
    seq: Count
    at_us: Moment
    payload: Annotated[Payload, AfterValidator(writable_as_json)]
    cause: StoredCause
    duration_us: Count | None = None


class NoSignalMessage(UpMessage):
    """A compute ended well and has nothing to tell."""

    type: Literal["no_signal"] = "no_signal"
    sense: str
    trigger_id: Count
    at_us: Moment
    duration_us: Count


class FailedMessage(UpMessage):
    """A compute ended badly, or a message could not be acted on.

    Attributes:
        outcome: `error` or `soft_timeout` of a compute; `refused` for a message.
        sense, trigger_id: the compute; None where a message could not be read so far.
    """

    type: Literal["failed"] = "failed"
    outcome: Literal["error", "soft_timeout", "refused"]
    sense: str | None = None
    trigger_id: Count | None = None
    at_us: Moment
    duration_us: Count = 0
    fault: Fault


class PlacedMessage(UpMessage):
    """The database of a sense says no longer that it has got further than `position`.

    Attributes:
        fault: why that could not be written; None where it was.
    """

    type: Literal["placed"] = "placed"
    sense: str
    source: str
    position: Count
    fault: Fault | None = None


class RetentionRule(Message):
    """How long the rows of a table are kept.

    Attributes:
        column: what tells their time.
        keep_ms: what holds.
        default_ms: what the sense has declared.
    """

    table: str
    column: str
    keep_ms: Count
    default_ms: Count


class DescribedMessage(UpMessage):
    """What is known of a sense without running it.

    Attributes:
        source: file of the module, or empty when it was not found.
        found: where it was found: `folder`, `entry point` or `use`.
        doc: the module's docstring.
        options: JSON Schema of its options, or None without an `Options` class.
        revisions: its migrations, oldest first.
        tables: names of the tables in its `metadata`.
        retention: the tables whose old rows are deleted.
        is_async: whether compute is a coroutine function.
    """

    type: Literal["described"] = "described"
    sense: str
    fault: Fault | None = None
    source: str = ""
    found: str = ""
    doc: str = ""
    options: dict[str, JsonValue] | None = None
    revisions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    retention: tuple[RetentionRule, ...] = ()
    is_async: bool = False


class StoppedMessage(UpMessage):
    """Databases are checkpointed and closed; the worker exits now."""

    type: Literal["stopped"] = "stopped"


Up = Annotated[
    ReadyMessage
    | BootFailedMessage
    | SignalMessage
    | NoSignalMessage
    | FailedMessage
    | PlacedMessage
    | DescribedMessage
    | StoppedMessage,
    Field(discriminator="type"),
]

_DOWN: TypeAdapter[Down] = TypeAdapter(Down)
_UP: TypeAdapter[Up] = TypeAdapter(Up)


def parse_down(frame: bytes) -> Down:
    """Validate a frame in a worker; raises MessageInvalid."""
    return parse(_DOWN, frame)


def parse_up(frame: bytes) -> Up:
    """Validate a frame in the parent; raises MessageInvalid."""
    return parse(_UP, frame)


def dump_cause(boot: str, message: ComputeMessage) -> str:
    """Write the StoredCause of a signal that answers `message`, as JSON text."""
    signals = ",".join(str(signal.id) for signal in message.signals)
    return (
        f'{{"kind":"{message.kind}","boot":{json.dumps(boot)},"trigger":{message.trigger_id}'
        f',"depth":{len(message.chain)},"chain":{_names(message.chain)},"signals":[{signals}]'
        f',"left_out":{message.left_out},"merged":{message.merged}}}'
    )


def dump_signal(
    *,
    generation: int,
    sense: str,
    epoch: str,
    seq: int,
    stored: tuple[int, str, str],
    duration_us: int,
) -> bytes:
    """Write a SignalMessage out of what is stored: at_us, and payload and cause as JSON text.

    The sender has validated the one and made the other; the receiver validates all of it.
    """
    at_us, payload, cause = stored
    return (
        f'{{"generation":{generation},"type":"signal","sense":{json.dumps(sense)}'
        f',"epoch":{json.dumps(epoch)},"seq":{seq},"at_us":{at_us},"payload":{payload}'
        f',"cause":{cause},"duration_us":{duration_us}}}'
    ).encode()


def _names(chain: tuple[str, ...]) -> str:
    return json.dumps(chain, separators=(",", ":")) if chain else "[]"


def refuse_depth(value: JsonValue, left: int = MAX_PAYLOAD_DEPTH) -> None:
    """Raise ValueError for a payload of more than MAX_PAYLOAD_DEPTH levels."""
    if left == 0:
        raise ValueError(f"it is nested deeper than {MAX_PAYLOAD_DEPTH} levels")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            refuse_depth(inner, left - 1)


def shorten(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Cut the middle out of a text of more than `limit` characters, saying how much."""
    if len(text) <= limit:
        return text
    half = limit // 2 - 30
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
