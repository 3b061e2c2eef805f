"""What a sense's database tells at a start of its worker, whether or not its sense can be loaded.

Worker. What was committed is told again: which trigger it was last, and the signals that
nobody has acknowledged. For that no author's code is needed. So the database of a sense whose
module or migrations have come to be at fault is read all the same, by a connection that can
change nothing: the compute after whose commit a worker died has the outcome that was committed,
and its signal is heard now and not when somebody has mended the sense.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from nerve.errors import MessageInvalid
from nerve.store.outbox import Outbox, OutboxRow
from nerve.store.sqlite import open_reader
from nerve.wire.messages import SenseReport, SignalMessage, StoredCause, parse_up
from nerve.wire.model import dump


class Retelling:
    """Of one sense."""

    def __init__(self, sense: str, outbox: Outbox, *, generation: int) -> None:
        self._sense = sense
        self._outbox = outbox
        self._generation = generation

    def report(self) -> SenseReport:
        """Say which database it is, and what was committed last; the rest is for others to add.

        Raises sqlite3.Error where the outbox cannot be read to its end: later, when its signals are
        told, that would end the worker.
        """
        for _ in self._outbox.waiting():
            pass
        identity = self._outbox.identity()
        rows = self._outbox.rows_of(identity.trigger_id)
        messages = map(self._message_of, rows)
        return SenseReport(
            name=self._sense,
            epoch=identity.epoch,
            boot=identity.boot,
            trigger_id=identity.trigger_id,
            signalled=any(told and told.cause.boot == identity.boot for told in messages),
            waiting=self._outbox.count(),
        )

    def signals(self) -> Iterator[SignalMessage]:
        """Yield what waits in the outbox, oldest first; a damaged row is named and left out."""
        for row in self._outbox.waiting():
            if message := self._message_of(row):
                yield message
            else:
                logging.getLogger(f"sense.{self._sense}").error(
                    "row %d of nerve_outbox is damaged; it was skipped and left in place", row.seq
                )

    def _message_of(self, row: OutboxRow) -> SignalMessage | None:
        """Make the message of a stored signal; None for a damaged one.

        Parsed once more, as the parent will: what it refuses would end this worker, at every
        start again.
        """
        try:
            message = SignalMessage(
                generation=self._generation,
                sense=self._sense,
                epoch=self._outbox.epoch,
                seq=row.seq,
                at_us=row.at_us,
                payload=row.payload,
                cause=StoredCause.model_validate_json(row.cause),
            )
            parse_up(dump(message))
        except (ValueError, MessageInvalid, RecursionError):
            return None
        return message


@contextlib.contextmanager
def reading_alone(path: Path, received: Mapping[str, int]) -> Iterator[Outbox]:
    """Read the outbox of a sense that is not loaded.

    Args:
        path: its database.
        received: by epoch, the last `seq` that the parent has recorded.

    Raises StateError or sqlite3.Error where it cannot be read, or never had an outbox.
    """
    with contextlib.closing(open_reader(path)) as reader:
        outbox = Outbox(reader)
        outbox.acknowledge(outbox.epoch, received.get(outbox.epoch, 0))
        yield outbox
