"""What a sense sees: the vocabulary between nerve and the author of a sense.

Worker processes run it; it does no I/O. A sense is a module with

    def compute(db: sqlalchemy.Connection, peers: Peers, ctx: Context) -> Json | None

(or `async def`). It runs serially with the other senses of its group, inside one
transaction on the sense's own database. What it returns becomes a signal in that
same transaction; `None` means: nothing worth telling. The module may also hold

    class Options(nerve.Options): ...     its validated options from nerve.yaml
    metadata = sqlalchemy.MetaData()      its tables, for `nerve db revision|check`
    retention = {"readings": nerve.Retention(column="at_us", keep="7d")}
                                          how long rows are kept, by table
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from logging import Logger, LoggerAdapter
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from sqlalchemy import Connection

Json = Any
"""A JSON value: None, bool, int, finite float, str, list of these, dict from str to these."""


class SoftTimeout(BaseException):
    """The compute has used up its `timeout`; the transaction is rolled back.

    Derived from BaseException so that `except Exception` does not swallow it.
    It is raised again every REARM_MS until the compute ends. Clean up if you
    must, then let it pass.
    """


class Options(BaseModel):
    """Base of a sense's options: a pydantic model, immutable, unknown keys refused.

    Name the subclass `Options`; nerve validates `senses.<name>.options` with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the rows of one table are kept; nerve deletes older ones between computes.

    The row that was inserted last stays, however old it is.

    Attributes:
        column: an integer column with the time of the row, UTC microseconds since 1970.
            Have an index on it, or the table is read through for old rows.
        keep: e.g. `7d` or `12h`; `senses.<name>.retention.<table>` in nerve.yaml wins.
    """

    column: str
    keep: str


class TriggerKind(StrEnum):
    """What made a compute run."""

    INTERVAL = "interval"
    CRON = "cron"
    SIGNAL = "on"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal, as a reflex hands it to the compute it triggers.

    Attributes:
        id: position in the strict order of all signals of this installation.
        sense: name of the sense that gave it.
        at: when its compute ended, aware, UTC.
        payload: the JSON value its compute returned; never None.
    """

    id: int
    sense: str
    at: datetime
    payload: Json


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why this compute runs.

    Attributes:
        kind: the first cause; the others were merged into it while the sense was
            busy or throttled.
        signals: the signals that caused it, oldest first, at most
            `nerve.wire.messages.MAX_CAUSES`; empty for a trigger by time or by hand.
        left_out: how many more (older) signals caused it than `signals` holds.
        merged: how many triggers after the first were merged into this one.
        due: the time of the tick, aware, UTC; None for a trigger by signals or by hand. With
            `missed: all` it tells which tick is made up for.
        payloads: what `nerve trigger --payload` gave, oldest first. Together with `signals` they
            are at most MAX_CAUSES, and MAX_CAUSES_BYTES as JSON.
        payloads_left_out: how many more (older) payloads were given than `payloads` holds.
    """

    kind: TriggerKind
    signals: tuple[Signal, ...] = ()
    left_out: int = 0
    merged: int = 0
    due: datetime | None = None
    payloads: tuple[Json, ...] = ()
    payloads_left_out: int = 0


class Peers(Protocol):
    """Read-only access to the databases of the other senses, by name.

    `peers["disk"]` is a SQLAlchemy Core connection that sees one consistent
    snapshot, taken at the first statement; nerve closes it when the compute ends.
    `in`, iteration and `len()` speak of the senses that are configured, whether
    or not they have a database yet; the sense itself is never among them.

    Raises:
        PeerError: on `[...]`, when the name is unknown, is the sense's own, or has no
            database yet (it never started, or its group failed).
    """

    def __getitem__(self, name: str) -> "Connection": ...
    def __contains__(self, name: object) -> bool: ...
    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...


class Blobs(Protocol):
    """Content-addressed files, for payloads too large for a row."""

    def put(self, content: bytes) -> str:
        """Store bytes durably; return their sha256 as 64 lower-case hex digits.

        Storing the same bytes again is free. Raises SenseError over the size limit,
        StateError where the file cannot be written.
        """
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes for a digest; raises SenseError if missing or damaged."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a compute is told about itself.

    Attributes:
        name: the sense, as written in nerve.yaml.
        group: the group whose worker it runs in.
        trigger: why it runs.
        now: when this compute began, aware, UTC.
        deadline: when SoftTimeout will be raised, seconds on `time.monotonic()`.
        log: a logger; its records become rows of nerve's log, attributed to the sense.
        options: the module's validated `Options`; without such a class, a plain dict.
        blobs: content-addressed storage, shared by all senses.
        secrets: the values under `senses.<name>.secrets` in nerve.yaml; what they
            hold is masked wherever nerve writes.
        clock: returns seconds on the monotonic clock; replaced in tests.
    """

    name: str
    group: str
    trigger: Trigger
    now: datetime
    deadline: float
    log: "LoggerAdapter[Logger]"
    options: Any
    blobs: Blobs
    secrets: Mapping[str, str] = field(repr=False)
    clock: Callable[[], float] = field(repr=False)

    def remaining(self) -> float:
        """Seconds until SoftTimeout; never negative."""
        return max(0.0, self.deadline - self.clock())


class Compute(Protocol):
    """The shape of `compute`; what it returns or awaits is a JSON value, a model, or None."""

    def __call__(
        self, db: "Connection", peers: Peers, ctx: Context, /
    ) -> Json | BaseModel | Awaitable[Json | BaseModel | None] | None:
        """Observe once."""
        ...
