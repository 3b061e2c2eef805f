"""What a person is told of why a sense ran, or did not; and how it is paused."""

import os
from contextlib import closing
from datetime import UTC, datetime

import pytest

from nerve.clock import SystemClock
from nerve.store.batch import Batch, Quarantine, SignalEntry
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader

US = 1_000_000
NOW = SystemClock().now_us()


@pytest.fixture
def record(project):
    """Commit decisions about `disk`: (word, seconds ago, how many, detail), each a batch."""

    def commit(*decisions, **batch):
        project.sense("disk")
        project.state.create()
        with closing(Journal(project.state.journal_path)) as journal:
            for word, seconds_ago, number, detail in decisions:
                one = Batch()
                one.count("disk", word, NOW - seconds_ago * US, number, detail)
                journal.commit(one)
            journal.commit(Batch(**batch))
        return project

    return commit


def why(project, *arguments):
    done = project.here("why", "disk", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def ago(seconds):
    return datetime.fromtimestamp((NOW - seconds * US) / US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_last_run_is_told_with_its_outcome_and_what_did_not_run_since(record):
    """SIG-8"""
    shown = why(
        record(("signal", 90, 1, ""), ("error", 60, 1, "no such device"), ("coalesced", 30, 2, ""))
    )
    assert "it failed: no such device" in shown
    assert "since:   2 triggers joined one that waited already" in shown
    assert "throttle" not in shown


def test_what_lies_before_the_last_run_is_not_told_as_since(record):
    """SIG-8"""
    shown = why(record(("throttled", 90, 4, ""), ("no_signal", 60, 1, "")))
    assert "since:   no trigger that did not run" in shown
    assert "4      came within its throttle" in shown


def test_what_says_the_same_is_told_once_though_a_restart_lies_between(record):
    """SIG-8"""
    shown = why(record(("filtered", 90, 4, ""), ("missed", 60, 2, ""), ("filtered", 30, 3, "")))
    told = [line for line in shown.splitlines() if line.startswith("since:")]
    assert len(told) == 2
    assert told[0].startswith(
        "since:   7 triggers did not satisfy the where of the reflex (the last"
    )


def test_where_they_differ_the_reason_of_the_last_is_told_with_its_time(record):
    """SIG-8"""
    record(("missed", 90, 4, "off, from 2026-11-26T22:14:06Z on"), ("unavailable", 60, 1, "gone"))
    shown = why(record(("missed", 30, 3, "a late tick")))
    assert "since:   7 triggers passed while nobody could answer (the last at " in shown
    assert ": a late tick)" in shown
    assert "since:   1 trigger came while it could not be run: gone (the last at" in shown


def test_times_are_those_of_the_zone_that_is_named_also_within_a_reason(record):
    """SIG-8"""
    project = record(("missed", 60, 2, "nerve did not run, from 2026-11-26T22:14:06.086194Z on"))
    shown = why(project, "--set", "timezone=Asia/Tokyo")
    assert shown.startswith("disk, group host; times in Asia/Tokyo\n")
    assert "nerve did not run, from 2026-11-27 07:14:06 on" in shown


def test_each_reason_has_its_sentence_and_is_in_the_json(record, json_lines):
    """SIG-8"""
    project = record(("where_failed", 60, 3, "no such field 'load'"))
    assert (
        "since:   3 triggers left the where of the reflex without an answer: no such field 'load'"
        in why(project)
    )
    (answer,) = json_lines(why(project, "--json"))
    assert answer["ran"] is None
    (since,) = answer["since"]
    assert (since["decision"], since["count"], since["ran"]) == ("where_failed", 3, False)


def test_it_is_told_what_holds_a_sense_back_and_what_will_run_it(record):
    """RUN-9, SIG-8"""
    held = Quarantine("disk", 1, NOW, NOW + 3_600 * US, "signal 11 (SIGSEGV)")
    shown = why(record(("crashed", 60, 1, ""), quarantines={"disk": held}))
    assert "now:     nerve does not run" in shown
    assert "in quarantine until" in shown
    assert "signal 11 (SIGSEGV)" in shown
    assert "`nerve resume disk` ends that" in shown
    assert "next:    every 10s" in shown
    assert "look:    nerve logs --source host --type worker.died --limit 1" in shown


def test_a_failure_is_told_with_the_command_that_shows_its_traceback(record):
    """SIG-8"""
    failed = record(("error", 60, 1, "OSError: no answer"))
    assert "nerve logs --sense disk --type compute.error --limit 1" in why(failed)
    again = why(failed, "--set", "timezone=UTC")
    assert "look:    nerve --set timezone=UTC logs --sense disk" in again


def test_nothing_is_to_be_looked_at_where_it_has_not_failed(record):
    """SIG-8"""
    assert "look:" not in why(record(("error", 60, 1, "no"), ("signal", 30, 1, "")))


def test_a_moment_in_the_past_is_answered_from_the_same_record(record):
    """SIG-8"""
    project = record(("signal", 300, 1, ""), ("no_signal", 200, 1, ""), ("no_signal", 100, 5, ""))
    shown = why(project, "--at", ago(150))
    assert "then:" in shown
    assert "it had nothing to tell, 6 times" in shown
    assert "before:" in shown
    assert "it gave a signal" in shown


def test_no_more_is_shown_than_was_asked_for(record, json_lines):
    """CTL-3"""
    words = ("signal", "no_signal", "error", "throttled", "coalesced")
    project = record(*((word, 100 - n, 1, "") for n, word in enumerate(words)))
    (answer,) = json_lines(why(project, "--json", "--last", "2"))
    assert [run["decision"] for run in answer["decisions"]] == ["coalesced", "throttled"]


def test_a_slip_in_a_name_or_a_time_is_a_usage_error(record):
    project = record(("signal", 60, 1, ""))
    assert 'did you mean "disk"?' in project.here("why", "dikk").stderr
    assert project.here("why", "disk", "--at", "soon").returncode == 2


def test_where_nothing_has_run_there_is_nothing_to_tell(project):
    """CTL-2"""
    assert project.here("why", "disk").returncode == 69


def test_a_paused_sense_is_told_everywhere_and_resumed(record, json_lines):
    """SIG-8"""
    project = record(("signal", 60, 1, ""))
    done = project.here("pause", "disk", "--reason", "rebuilt until Friday")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rebuilt until Friday; `nerve resume disk` ends that" in why(project)
    assert "free again; it was paused since" in project.here("resume", "disk").stdout
    assert "paused" not in why(project)
    with closing(open_reader(project.state.journal_path)) as reader:
        rows = reader.execute("SELECT type FROM logs ORDER BY id").fetchall()
    assert [type_ for (type_,) in rows] == ["sense.paused", "sense.resumed"]
    (line,) = json_lines(project.here("pause", "disk", "--json").stdout)
    assert line["sense"] == "disk"


def test_beside_a_nerve_that_cannot_be_asked_nothing_is_paused(record):
    """CTL-1"""
    project = record(("signal", 60, 1, ""))
    lock = project.state.lock()
    try:
        done = project.here("pause", "disk")
    finally:
        os.close(lock)
    assert done.returncode == 69
    assert "has no control socket" in done.stderr
    assert "paused" not in why(project)


def test_of_a_nerve_that_cannot_be_asked_it_is_not_said_that_nothing_holds_a_sense_back(record):
    """CTL-1"""
    project = record(("signal", 60, 1, ""))
    lock = project.state.lock()
    try:
        shown = project.here("why", "disk").stdout
    finally:
        os.close(lock)
    assert f"now:     the nerve that runs, process {os.getpid()}, tells nothing" in shown
    assert "nothing known holds it back" not in shown


def test_a_sense_that_cannot_come_up_is_told_what_to_do_by_its_row(record, log):
    """BOOT-3"""
    told = '{"message": "it is ahead", "hint": "restore an older database"}'
    row = log("disk", "sense.unavailable", "error", told)
    shown = why(record(entries=[row]))
    assert ": it is ahead; restore an older database; then `nerve restart host`" in shown


@pytest.mark.parametrize("damaged", ['["it"]', '{"message": "it", "hint": 7}', "{"])
def test_a_damaged_row_of_a_sense_that_cannot_come_up_is_told_all_the_same(record, log, damaged):
    """BOOT-6"""
    shown = why(record(entries=[log("disk", "sense.unavailable", "error", damaged)]))
    assert "; mend it; then `nerve restart host`" in " ".join(shown.split())


def test_a_run_of_long_ago_is_told_though_its_record_was_trimmed(record):
    """SIG-8"""
    project = record(("error", 40 * 86_400, 7, "it broke"))
    project.damage("DELETE FROM decisions")
    shown = why(project)
    assert "it has not run yet" not in shown
    assert "it failed" in shown


def test_what_keeps_a_sense_from_coming_up_is_told_with_its_fault(record):
    """BOOT-3, SIG-8"""
    shown = why(record(("signal", 90, 1, ""), ("unavailable", 30, 9, "the module is missing")))
    assert "9 triggers came while it could not be run: the module is missing" in shown


def test_nobody_is_told_that_a_nerve_ran_which_had_been_killed(record):
    """BOOT-4"""
    project = record(("signal", 300, 1, ""))
    with closing(Journal(project.state.journal_path)) as journal:
        journal.begin_boot("b", pid=1, version="1", at_us=NOW - 400 * US)
    assert "nerve:   ran, since" in why(project, "--at", ago(350))
    assert "had perhaps been killed by then" in why(project, "--at", ago(100))
    with closing(Journal(project.state.journal_path)) as journal:
        journal.begin_boot("c", pid=2, version="1", at_us=NOW - 50 * US)
    assert "had perhaps been killed by then" in why(project, "--at", ago(100))


def test_a_damaged_database_of_the_sense_does_not_keep_the_answer_back(record):
    """BOOT-6"""
    project = record(("unavailable", 30, 9, "disk.db is damaged"))
    project.write(
        "nerve.yaml",
        "senses: {disk: , cpu-usage: }\nreflexes: [{kind: sense, sense: disk, on: cpu-usage}]\n",
    )
    database = project.state.sense_db("disk")
    database.parent.mkdir(exist_ok=True)
    database.write_bytes(b"nonsense " * 1_000)
    done = project.here("why", "disk")
    assert done.returncode == 0
    assert "disk.db is damaged" in done.stdout
    assert "the journal alone was asked" in done.stderr


def test_signals_that_wait_for_others_to_cease_are_told_with_the_end_of_that(record):
    """SIG-8"""
    signal = SignalEntry("load", "e", 1, NOW, "1", "{}")
    project = record(("signal", 60, 1, ""), entries=[signal], cursors={("disk", "load"): 0})
    project.write(
        "nerve.yaml",
        "senses: {disk: , load: }\nreflexes: [{kind: sense, sense: disk, on: load, debounce: 3s}]\n",
    )
    shown = why(project)
    assert "waiting: 1 signal of load not answered yet" in shown
    assert (
        "now:     its debounce, until 3s after the last signal of load, 30s after the first"
        in shown
    )


def test_a_throttle_that_still_lasts_is_told(record):
    """SIG-5, SIG-8"""
    project = record(("signal", 60, 1, ""), ("throttled", 30, 1, ""))
    project.write(
        "nerve.yaml",
        "senses: {disk: {throttle: 1h}}\nreflexes: [{kind: sense, sense: disk, interval: 10s}]\n",
    )
    assert "now:     its throttle, until about" in why(project)
