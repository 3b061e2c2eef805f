"""The archivist: a process that writes days of the archive beside a running nerve.

Started by the parent through the fork server, for one run. A million rows are some ten seconds
of reading, JSON and syncing, which in a thread of the parent would take its turns from the
loop. It stands behind everything else (NICE), opens logs.db for reading alone, and dies with the
fork server, which dies with the parent. What it leaves unfinished then is swept away.
"""

import os
import socket
from contextlib import closing
from pathlib import Path

from nerve.errors import StateError
from nerve.process.apart import set_apart
from nerve.process.kernel import name_process
from nerve.store.dayreport import Done, Failed, Job, dump_report, parse_job
from nerve.store.daywriter import write_days
from nerve.store.due import due_at
from nerve.store.faults import explained
from nerve.store.sqlite import open_reader
from nerve.wire.channel import BlockingChannel, ChannelClosed

NAME = "nerve: archive"
NICE = 19
"""The least priority that Linux knows: nobody waits for it."""


def run(sock: socket.socket, job: str) -> None:
    """Do a job, as `dump_job` wrote it, and report to the other end of the socket."""
    set_apart()
    name_process(NAME)
    os.nice(NICE)
    try:
        _archive(BlockingChannel(sock), parse_job(job))
    except ChannelClosed:  # the parent has no more use for it
        return


def _archive(channel: BlockingChannel, job: Job) -> None:
    journal, reported = Path(job.journal), 0
    try:
        with explained(journal), closing(open_reader(journal)) as reader:
            due = due_at(reader, job.retention, job.pairs, job.now_us)
            compressed = job.retention.compress == "gzip"
            for report in write_days(reader, Path(job.archive), due, compressed=compressed):
                channel.send(dump_report(report))
                channel.receive()
                reported += 1
    except StateError as error:
        channel.send(dump_report(Failed(str(error), error.hint, error.fault)))
    else:
        channel.send(dump_report(Done(reported)))
