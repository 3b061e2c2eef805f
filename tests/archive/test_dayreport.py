"""What the parent and its archivist say to each other."""

import pytest

from nerve.config.models import RetentionConfig
from nerve.errors import MessageInvalid
from nerve.store.dayfile import ArchivedDay
from nerve.store.dayreport import Done, Failed, Job, dump_job, dump_report, parse_job, parse_report
from nerve.store.daywriter import Refused, Written
from nerve.store.due import Selection

DAY = ArchivedDay("logs", "2024-10-01", "logs/2024-10-01.jsonl", 1, 2, 2, 99, "ab")


def test_a_job_arrives_as_it_was_sent():
    retention = RetentionConfig.model_validate({"logs": "36h", "archived": "90d"})
    job = Job("data/logs.db", "data/archive", retention, (("heat", "disk"),), 5)
    assert parse_job(dump_job(job)) == job


@pytest.mark.parametrize(
    "report",
    [
        Written(Selection("logs", DAY.day, 1, 2, 2, {"s": 1}), DAY, "x", "cd", (("a", "b", 1),)),
        Refused("logs", DAY.day, "message", "hint"),
        Failed("message", "hint", "disk_full"),
        Done(3),
    ],
)
def test_a_report_arrives_as_it_was_sent(report):
    assert parse_report(dump_report(report)) == report


@pytest.mark.parametrize("frame", [b"", b"{}", b"[]", b'{"reported": "3"}', b'{"message": "m"}'])
def test_what_is_no_report_is_refused(frame):
    with pytest.raises(MessageInvalid, match="not a report"):
        parse_report(frame)


def test_what_is_no_job_is_refused():
    with pytest.raises(MessageInvalid, match="not a job"):
        parse_job("{}")
