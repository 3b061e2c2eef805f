"""One compute, from a trigger to exactly one outcome.

Worker, main thread. A pipeline: begin a transaction, run `compute` under the soft
deadline, turn what it returned into JSON, put that into the outbox, commit, and
only then say so. Whatever the author's code does in between ends in one of the
closed set of outcomes `signal`, `no_signal`, `error`, `soft_timeout`; the others
(`killed`, `crashed`) are for the parent to find, because then nobody is left here.

Invariants: rows and signal are committed together or not at all; after any
failure the next compute starts on a clean connection; a compute that comes to
its end after the deadline has fired is a soft timeout, whatever it returned.
"""

import asyncio
import contextlib
import inspect
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import BaseModel, JsonValue, TypeAdapter

from nerve.clock import Clock, to_datetime
from nerve.config.durations import format_duration
from nerve.config.models import GroupConfig
from nerve.config.secrets import Redactor
from nerve.errors import SenseError
from nerve.sense import Blobs, Context, Signal, SoftTimeout, Trigger
from nerve.wire.messages import (
    MAX_PAYLOAD_BYTES,
    ComputeMessage,
    FailedMessage,
    NoSignalMessage,
    dump_cause,
    dump_signal,
    refuse_depth,
)
from nerve.wire.model import dump
from nerve.worker.deadline import Deadline
from nerve.worker.limits import Lowered, name_limit
from nerve.worker.refusal import advice, reason
from nerve.worker.resident import Resident
from nerve.worker.stance import Stance
from nerve.worker.traces import describe_exception, lacks_a_table

_JSON: TypeAdapter[Any] = TypeAdapter(JsonValue)
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
_US = 1_000_000


class Outcome(NamedTuple):
    """How a compute ended: the message that says so, dumped, and whether it is `failed`."""

    message: bytes
    is_failure: bool


class Executor:
    """Runs computes, one after another."""

    def __init__(  # noqa: PLR0913  each is said by its name
        self,
        *,
        generation: int,
        boot: str,
        clock: Clock,
        deadline: Deadline,
        blobs: Blobs,
        redactor: Redactor,
        limits: GroupConfig,
        folder: str,
        owns_process: bool = True,
    ) -> None:
        """Prepare for the computes of one worker.

        Args:
            folder: the one of nerve.yaml, to which the paths in tracebacks are relative.
            owns_process: False where limits and signal handlers of this process are somebody
                else's, as in an author's tests.
        """
        self._generation = generation
        self._boot = boot
        self._clock = clock
        self._deadline = deadline
        self._blobs = blobs
        self._redactor = redactor
        self._limits = limits
        self._folder = folder
        self._lowered = Lowered(limits) if owns_process else contextlib.nullcontext()
        self._resume = Stance().resume if owns_process else _leave_as_it_is

    def execute(self, sense: Resident, message: ComputeMessage) -> Outcome:
        """Run a sense once.

        Raises nothing, whatever the sense does; but what nerve itself could not tell of a compute
        that is committed, for want of memory say. Then this worker must end: to the next one it is
        a signal that waits, while after an error it would be one that nobody tells.
        """
        began = self._clock.monotonic()
        try:
            payload = self._observe(sense, message)
            told = self._commit(sense, message, payload, began)
        except BaseException as error:  # the boundary around code that is not ours
            self._deadline.disarm()
            explained = sense.explained(error)
            sense.abandon()
            if sense.has_committed(self._boot, message.trigger_id):
                raise
            return Outcome(dump(self._failed(sense, message, explained, began)), is_failure=True)
        finally:
            with contextlib.suppress(Exception):  # a peer's file may be gone; nothing was written
                sense.peers.close()
        return Outcome(told, is_failure=False)

    def _observe(self, sense: Resident, message: ComputeMessage) -> str | None:
        """Run the author's code; return its payload as JSON text, or None."""
        self._resume()
        sense.begin()
        with self._lowered, self._deadline.armed(sense.config.timeout_ms) as deadline:
            context = self._context(sense, message, deadline)
            result = _run(sense.compute, sense.db, sense.peers, context)
            payload = None if result is None else self._to_json(result)
        if self._deadline.fired:
            raise SoftTimeout
        return payload

    def _commit(
        self, sense: Resident, message: ComputeMessage, payload: str | None, began: float
    ) -> bytes:
        at_us = self._clock.now_us()
        signal = None if payload is None else (at_us, payload, dump_cause(self._boot, message))
        seq = sense.commit(
            boot=self._boot,
            trigger_id=message.trigger_id,
            positions=message.positions,
            signal=signal,
        )
        if signal is None:
            ended = NoSignalMessage(
                generation=self._generation,
                sense=sense.name,
                trigger_id=message.trigger_id,
                at_us=at_us,
                duration_us=self._since_us(began),
            )
            return dump(ended)
        return dump_signal(
            generation=self._generation,
            sense=sense.name,
            epoch=sense.outbox.epoch,
            seq=seq,
            stored=signal,
            duration_us=self._since_us(began),
        )

    def _failed(
        self, sense: Resident, message: ComputeMessage, error: BaseException, began: float
    ) -> FailedMessage:
        timed_out = self._deadline.fired or isinstance(error, SoftTimeout)
        fault = describe_exception(error, self._redactor, self._folder)
        fault = name_limit(fault, error, sense.config.group, self._limits)
        if not fault.hint and lacks_a_table(error):
            hint = (
                f"a migration has to make it: `nerve db check {sense.name}` says what is lacking,"
                f" `nerve db revision {sense.name} -m TEXT --autogenerate` writes one"
            )
            fault = fault.model_copy(update={"hint": hint})
        if timed_out:
            timeout = format_duration(sense.config.timeout_ms)
            told = f"did not end within its timeout of {timeout}"
            hint = (
                "make it quicker, give what it waits for a timeout of its own (network calls,"
                f" subprocesses), or raise senses.{sense.name}.timeout"
            )
            fault = fault.model_copy(update={"kind": "soft_timeout", "message": told, "hint": hint})
        return FailedMessage(
            generation=self._generation,
            outcome="soft_timeout" if timed_out else "error",
            sense=message.sense,
            trigger_id=message.trigger_id,
            at_us=self._clock.now_us(),
            duration_us=self._since_us(began),
            fault=fault,
        )

    def _context(self, sense: Resident, message: ComputeMessage, deadline: float) -> Context:
        return Context(
            name=sense.name,
            group=sense.config.group,
            trigger=_trigger(message),
            now=to_datetime(self._clock.now_us()),
            deadline=deadline,
            log=logging.LoggerAdapter(sense.log, {"trigger_id": message.trigger_id}),
            options=sense.options,
            blobs=self._blobs,
            secrets=sense.config.secrets,
            clock=self._clock.monotonic,
        )

    def _to_json(self, result: Any) -> str:
        try:
            if isinstance(result, BaseModel):
                result = result.model_dump(mode="json")
            value = self._redactor.json(_JSON.validate_python(result, strict=True))
            _refuse_null(value)
            refuse_depth(value)
            text = _ENCODER.encode(value)
            size = len(text.encode())
        except (ValueError, RecursionError) as error:  # pydantic's and Unicode's are ValueErrors
            raise SenseError(
                f"what compute returned is no JSON value: {reason(error)}",
                kind="payload_invalid",
                hint=advice(error),
            ) from error
        if size > MAX_PAYLOAD_BYTES:
            raise SenseError(
                f"what compute returned is {size:,} bytes of JSON, over {MAX_PAYLOAD_BYTES:,}",
                kind="payload_too_large",
                hint="store it with ctx.blobs.put() and return the digest",
            )
        return text

    def _since_us(self, began: float) -> int:
        return max(0, int((self._clock.monotonic() - began) * _US))


def _leave_as_it_is() -> None:
    """Stand in for a stance."""


def _run(compute: Callable[..., Any], *arguments: Any) -> Any:
    result = compute(*arguments)
    if not isinstance(result, dict) and inspect.isawaitable(result):
        with asyncio.Runner() as runner:
            return runner.run(_awaited(result))
    return result


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _trigger(message: ComputeMessage) -> Trigger:
    signals = tuple(
        Signal(id=s.id, sense=s.sense, at=to_datetime(s.at_us), payload=s.payload)
        for s in message.signals
    )
    due = None if message.due_us is None else to_datetime(message.due_us)
    trigger = Trigger(message.kind, signals, message.left_out, message.merged, due)
    if message.given is None:
        return trigger
    given = message.given
    return replace(trigger, payloads=given.payloads, payloads_left_out=given.left_out)


def _refuse_null(value: Any) -> None:
    if value is None:  # the parent would end this worker for such a message
        raise ValueError("a model that comes to null is no signal; return None where there is none")
