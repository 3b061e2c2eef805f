"""nerve.yaml as typed, immutable values.

The parent parses it; a worker gets its validated part and nothing else. After
parsing, every optional field is there and is explicitly None when not given;
durations are integer milliseconds (`timeout: 5s` becomes `timeout_ms=5000`), sizes integer
bytes.
References between the parts are checked in `nerve.config.references`.

Each field has an effect and a description; the descriptions become the JSON
Schema of `nerve schema`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nerve.config.names import DEFAULT_GROUP
from nerve.config.values import (
    ENV_PATTERN,
    USE_PATTERN,
    Concurrency,
    Cron,
    Directory,
    DurationMs,
    FieldMisfit,
    Flag,
    LinesPerSecond,
    MemoryBytes,
    Name,
    Names,
    Nice,
    OpenFiles,
    PositiveMs,
    Processes,
    QueueLimit,
    RetentionMs,
    WhereExpression,
    Zone,
)

DEFAULT_MAX_QUEUE = 100
DEFAULT_TIMEOUT_MS = 30_000
DEFAULT_GRACE_PERIOD_MS = 5_000
DEFAULT_NICE = 10
"""Behind nerve itself, which has to get its turn to end a sense that takes all processors."""
DEFAULT_MEMORY_BYTES = 2**30
DEFAULT_OPEN_FILES = 1_024
DEFAULT_PROCESSES = 128
DEFAULT_OUTPUT_LINES_PER_SECOND = 50
DEFAULT_RETENTION_MS = 30 * 86_400_000


Missed = Literal["skip", "once", "all"]
"""What becomes of ticks or signals that nobody could answer in their time."""


class Section(BaseModel):
    """A part of nerve.yaml: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SenseConfig(Section):
    """One sense, under `senses.<name>`; all defaults where nothing is under the name."""

    use: str | None = Field(
        None,
        pattern=f"^{USE_PATTERN}$",
        description="Dotted path of the module, when it is neither a folder in senses/ beside "
        "nerve.yaml nor an installed sense of the same name.",
    )
    group: Name = Field(
        DEFAULT_GROUP,
        description="Senses of one group share a worker process and run one after another.",
    )
    throttle_ms: PositiveMs | None = Field(
        None,
        alias="throttle",
        description="Least time between two starts. A trigger inside it is deferred to its end.",
    )
    timeout_ms: PositiveMs = Field(
        DEFAULT_TIMEOUT_MS,
        alias="timeout",
        description="Soft timeout: after it, SoftTimeout is raised in the compute. Default 30s.",
    )
    grace_period_ms: DurationMs = Field(
        DEFAULT_GRACE_PERIOD_MS,
        alias="grace_period",
        description="How long after the soft timeout the worker is killed. Default 5s.",
    )
    durability: Literal["normal", "full"] = Field(
        "normal",
        description="normal: a power loss can take the last commits, a crash of any process "
        "cannot. full: every commit is synced to the disk.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="For the sense itself; its `Options` model checks them.",
    )
    retention: dict[str, PositiveMs] = Field(
        default_factory=dict,
        description="How long the rows of the sense's tables are kept, by table, e.g. {readings: "
        "30d}, for tables that it has declared; `nerve describe` shows them.",
    )
    secrets: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="Values for `ctx.secrets`, e.g. {token: '${file:/run/secrets/token}'}; never "
        "logged, stored or shown.",
    )
    env: tuple[Annotated[str, Field(pattern=f"^{ENV_PATTERN}$")], ...] = Field(
        (),
        description="Environment variables with secret-looking names that the sense asks for; "
        "without this a worker does not get them.",
    )


class GroupConfig(Section):
    """What the senses of one group may use up together, under `groups.<name>`."""

    memory_bytes: MemoryBytes = Field(
        DEFAULT_MEMORY_BYTES,
        alias="memory",
        description="Of the worker, and of all its child processes together. A compute that asks "
        "for more gets a MemoryError; where that does not help, the worker is killed. Default 1GB.",
    )
    open_files: OpenFiles = Field(
        DEFAULT_OPEN_FILES,
        description="Files, sockets and pipes that the worker may have open, and each of its child "
        "processes as well. Default 1024.",
    )
    processes: Processes = Field(
        DEFAULT_PROCESSES,
        description="Child processes of the worker, and theirs, at one time. The worker is killed "
        "for more. Default 128.",
    )
    nice: Nice = Field(
        DEFAULT_NICE,
        description="How far the worker and its child processes stand back behind nerve itself "
        "when the machine is busy, 0 to 19. Default 10.",
    )
    output_lines_per_second: LinesPerSecond = Field(
        DEFAULT_OUTPUT_LINES_PER_SECOND,
        description="What is kept of what the senses print and log, in the long run. More is "
        "counted and left out. Default 50.",
    )


class SenseReflex(Section):
    """Runs senses by time (`interval` or `cron`) or when other senses signal (`on`).

    It has exactly one of the three.
    """

    kind: Literal["sense"] = Field(description="What the reflex runs: a sense.")
    sense: Names = Field(description="The sense to run, or a list of them.")
    interval_ms: PositiveMs | None = Field(
        None, alias="interval", description="Run every so often, counted from a fixed start."
    )
    jitter_ms: PositiveMs | None = Field(
        None,
        alias="jitter",
        description="With interval: shift each sense by up to this much, always the same for "
        "the same name, so that many do not start at once.",
    )
    align: Flag = Field(
        default=False,
        description="With interval: tick at whole multiples of it on the clock, e.g. at :00 and "
        ":30 for 30m, instead of counting from the start of nerve. They are counted from local "
        "midnight where the interval divides a day, else from 1970 in UTC.",
    )
    cron: Cron | None = Field(
        None,
        description="Run at these times: minute, hour, day of month, month, day of week; or "
        "@hourly, @daily, @weekly, @monthly, @yearly.",
    )
    timezone: Zone | None = Field(
        None,
        description="With cron or align: their time zone. Default: that of the whole file.",
    )
    on: Names | None = Field(None, description="Run when one of these senses gives a signal.")
    where: WhereExpression | None = Field(
        None,
        description="With on: only for signals that satisfy this, e.g. `busy_percent > 90`.",
    )
    debounce_ms: PositiveMs | None = Field(
        None,
        alias="debounce",
        description="With on: wait until no such signal has come for so long, ten times that "
        "at most, and answer all of them at once.",
    )
    missed: Missed | None = Field(
        None,
        description="What becomes of ticks that came while nerve did not run, and of signals that "
        "were not answered when it stopped or came since. skip: "
        "nothing, they are counted (default of interval and cron). once: they are one trigger "
        "(default of on). all: each is one, the newest hundred, one after another.",
    )
    catchup_ms: PositiveMs | None = Field(
        None,
        alias="catchup",
        description="How old what was missed may be to be made up for. Default: any age.",
    )

    @model_validator(mode="after")
    def _exactly_one_cause(self) -> "SenseReflex":
        causes = [key for key in ("interval", "cron", "on") if self._given(key)]
        if len(causes) != 1:
            found = " and ".join(causes) if causes else "none"
            raise ValueError(f"needs exactly one of interval, cron and on; found {found}")
        if self.interval_ms is None and (self.jitter_ms is not None or self.align):
            field = "align" if self.align else "jitter"
            raise FieldMisfit("jitter and align go with interval only", field=field)
        if self.interval_ms and self.jitter_ms and self.jitter_ms > self.interval_ms:
            raise FieldMisfit("jitter is longer than the interval", field="jitter")
        if self.timezone is not None and self.cron is None and not self.align:
            raise FieldMisfit("timezone goes with cron or align only", field="timezone")
        return self

    @model_validator(mode="after")
    def _what_goes_with_what(self) -> "SenseReflex":
        if self.on is None and (self.where is not None or self.debounce_ms is not None):
            field = "where" if self.where is not None else "debounce"
            raise FieldMisfit("where and debounce go with on only", field=field)
        skips = self.missed == "skip" or (self.missed is None and self.on is None)
        if self.catchup_ms is not None and skips:
            message = "catchup goes with missed: once or all; nothing is made up for here"
            raise FieldMisfit(message, field="catchup")
        return self

    def _given(self, key: str) -> bool:
        return getattr(self, "interval_ms" if key == "interval" else key) is not None


class WorkflowReflex(Section):
    """Runs a workflow when senses signal; checked, but workflows do not run in this version."""

    kind: Literal["workflow"] = Field(description="What the reflex runs: a workflow.")
    workflow: Name = Field(description="The workflow to run.")
    on: Names = Field(description="Run when one of these senses gives a signal.")


class QueueWorkflow(Section):
    """A workflow whose triggers wait while `concurrency` runs are under way."""

    overflow: Literal["queue"] = Field(
        description="What becomes of a trigger while `concurrency` runs are under way: it waits."
    )
    concurrency: Concurrency = Field(1, description="Runs at the same time. Default 1.")
    max_queue: QueueLimit = Field(
        DEFAULT_MAX_QUEUE, description="Triggers that may wait. Default 100."
    )


class DropWorkflow(Section):
    """A workflow whose triggers are dropped while `concurrency` runs are under way."""

    overflow: Literal["drop"] = Field(
        description="What becomes of a trigger while `concurrency` runs are under way: it is "
        "dropped, with a row in the log."
    )
    concurrency: Concurrency = Field(1, description="Runs at the same time. Default 1.")


Reflex = Annotated[SenseReflex | WorkflowReflex, Field(discriminator="kind")]
Workflow = Annotated[QueueWorkflow | DropWorkflow, Field(discriminator="overflow")]


class RetentionConfig(Section):
    """How long what happened is kept, and where, under `retention`."""

    logs_ms: RetentionMs = Field(
        DEFAULT_RETENTION_MS,
        alias="logs",
        description="Log rows stay in logs.db for so long, and go to the archive then: one file "
        "for each UTC day, which `nerve logs` reads as well. At least 1d. Default 30d.",
    )
    signals_ms: RetentionMs = Field(
        DEFAULT_RETENTION_MS,
        alias="signals",
        description="The same for signals. One that a reflex has not answered yet stays twice as "
        "long. At least 1d. Default 30d.",
    )
    archived_ms: RetentionMs | None = Field(
        None,
        alias="archived",
        description="Files of the archive are deleted when their rows are older than this. "
        "Without it they stay for ever.",
    )
    compress: Literal["none", "gzip"] = Field(
        "none",
        description="How new files of the archive are written; gzip makes them some ten times "
        "smaller. Default none.",
    )

    @model_validator(mode="after")
    def _deletes_only_what_is_archived(self) -> "RetentionConfig":
        if self.archived_ms is not None and self.archived_ms < max(self.logs_ms, self.signals_ms):
            message = "is counted as logs and signals are, and cannot be shorter than either"
            raise FieldMisfit(message, field="archived")
        return self


class JournalConfig(Section):
    """How logs.db is written, under `journal`."""

    durability: Literal["normal", "full"] = Field(
        "full",
        description="full: what is recorded is synced to the disk before anything follows from "
        "it. normal: a power loss can take what was recorded last, a crash of any process cannot. "
        "Default full.",
    )


class Config(Section):
    """The whole of nerve.yaml."""

    timezone: Zone = Field(
        "UTC",
        description="Time zone of cron, of align, and of times that are shown. Default UTC.",
    )
    state_dir: Directory = Field(
        "data",
        description="Where everything is kept; relative to nerve.yaml. NERVE_STATE_DIR wins.",
    )
    senses: dict[Name, SenseConfig] = Field(default_factory=dict, description="Senses by name.")
    groups: dict[Name, GroupConfig] = Field(
        default_factory=dict,
        description="Limits of a group of senses, by its name. A group that is not here has all "
        "defaults.",
    )
    retention: RetentionConfig = Field(
        RetentionConfig(),
        description="How long log rows and signals stay in logs.db, and then in the archive.",
    )
    journal: JournalConfig = Field(
        JournalConfig(), description="How durable what is recorded in logs.db is."
    )
    reflexes: tuple[Reflex, ...] = Field((), description="What makes senses and workflows run.")
    workflows: dict[Name, Workflow] = Field(default_factory=dict, description="Workflows by name.")

    def group(self, name: str) -> GroupConfig:
        """Return the limits of a group; the defaults where nothing is said of it."""
        return self.groups.get(name) or GroupConfig()

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Return, for each sense that signals run, the senses that give them."""
        found: dict[str, dict[str, None]] = {}
        for reflex in self.reflexes:
            if isinstance(reflex, SenseReflex) and reflex.on:
                for sense in reflex.sense:
                    found.setdefault(sense, {}).update(dict.fromkeys(reflex.on))
        return {sense: tuple(sources) for sense, sources in found.items()}
