import errno
import json
import threading
from zoneinfo import ZoneInfo

import pytest

from nerve.cli.outlet import Outlet
from nerve.cli.terminal import ForPerson, for_json, for_pipe


@pytest.fixture
def person():
    def make(width=80, colour=False):
        zone = ZoneInfo("Europe/Berlin")
        return ForPerson(zone=zone, width=lambda: width, source_cells=9, colour=colour)

    return make


def test_a_signal_is_one_line_in_local_time(person, signal):
    assert person()(7, signal()) == "02:03:18  disk       22 % used\n"


def test_a_signal_without_summary_shows_its_keys(person, signal):
    line = person()(7, signal(payload='{"used": 22, "mount": "/"}'))
    assert line == "02:03:18  disk       used=22 mount=/\n"


def test_a_line_is_cut_to_the_terminal_and_an_error_never(person, signal, log):
    long = json.dumps({"summary": "x" * 200, "message": "x" * 200})
    assert len(person(width=40)(1, signal(payload=long)).rstrip("\n")) == 40
    error = person(width=40)(1, log(level="error", payload=long))
    assert error.count("x") == 200
    assert max(map(len, error.splitlines())) <= 40


def test_a_long_hint_is_wrapped_below_itself(person, log):
    payload = json.dumps({"message": "no", "hint": "first look here " * 10})
    _, first, *rest = person()(1, log(level="warning", payload=payload)).splitlines()
    assert first.startswith(" " * 10 + "hint: first look")
    assert rest
    assert all(line.startswith(" " * 16) for line in rest)


def test_an_error_stands_out_with_its_hint_and_the_authors_frames(person, log):
    payload = {
        "kind": "error",
        "message": "PermissionError: no",
        "hint": "become root",
        "traceback": "Traceback:\n  File x\n\x1b[31mred",
    }
    text = person(colour=True)(
        1, log(type_="compute.error", level="error", payload=json.dumps(payload))
    )
    head, hint, *frames = text.splitlines()
    assert "\x1b[31mcompute.error: PermissionError: no\x1b[0m" in head
    assert hint.strip() == "hint: become root"
    assert len(frames) == 3
    assert "\\x1b[31mred" in frames[2]


def test_an_error_that_repeats_itself_is_told_in_one_line(person, log):
    word = person()
    again, other = (
        '{"message": "no", "traceback": "here"}',
        '{"message": "no", "traceback": "there"}',
    )
    lines = [
        len(word(1, log(level="error", payload=payload)).splitlines())
        for payload in (again, again, other, again)
    ]
    assert lines == [2, 1, 2, 2]


def test_without_colour_there_is_no_escape_sequence(person, log):
    """CTL-3"""
    for level in ("debug", "info", "warning", "error"):
        assert "\x1b" not in person()(1, log(level=level))


@pytest.mark.parametrize("type_", ["worker.ready", "worker.stopped", "nerve.started"])
def test_the_routine_of_the_machinery_is_not_shown_unless_it_went_wrong(person, log, type_):
    assert person()(1, log(type_=type_)) is None
    assert person()(1, log(type_=type_, level="warning")) is not None


def test_what_a_sense_prints_and_logs_is_shown_as_it_is(person, log):
    """LOG-5"""
    printed = log(type_="output", payload='{"stream": "stdout", "text": "hi \\u001b[2J"}')
    assert person()(1, printed) == "02:03:18  disk       hi \\x1b[2J\n"
    assert person()(1, log()) == "02:03:18  disk       hello\n"


def test_into_a_pipe_every_entry_is_a_plain_line(signal, log):
    """CTL-3"""
    assert for_pipe(12, signal()) == (
        '2026-11-21T01:03:18.318013Z signal disk #12 {"summary": "22 % used"}\n'
    )
    assert for_pipe(13, log(type_="compute.error", level="error")) == (
        '2026-11-21T01:03:18.318013Z error disk compute.error {"message": "hello"}\n'
    )


def test_as_json_an_entry_is_what_the_reading_commands_print(project, signal, log, json_lines):
    """CTL-3"""
    entries = [signal(), log(ref="trigger:a/1")]
    ids = project.record(*entries)
    shown = [json.loads(for_json(*pair)) for pair in zip(ids, entries, strict=True)]
    assert shown[0] == json_lines(project.nerve("signals", "--json").stdout)[0]
    assert shown[1] == json_lines(project.nerve("logs", "--json", "--type", "log").stdout)[0]


def test_what_cannot_be_recorded_is_shown_without_an_id(log):
    assert json.loads(for_json(None, log()))["id"] is None


def word(entry_id, _entry):
    return f"{entry_id}\n"


def test_the_outlet_writes_everything_in_order_before_it_closes(signal):
    written = []
    outlet = Outlet(word, written.append)
    for number in range(1_000):
        outlet.observe(number, signal())
    assert outlet.close()
    assert written == [f"{number}\n" for number in range(1_000)]


def test_a_reader_that_stands_still_never_holds_nerve_and_is_told_what_it_missed(signal):
    """CTL-3"""
    written, begun, go_on = [], threading.Event(), threading.Event()

    def write(text):
        begun.set()
        go_on.wait(30)
        written.append(text)

    outlet = Outlet(word, write, max_waiting_chars=1_000)
    outlet.observe(1, signal())
    assert begun.wait(30)
    for number in range(2, 100):
        outlet.observe(number, signal())
    assert not outlet.close(timeout_s=0.01)
    go_on.set()
    assert outlet.close(timeout_s=30)
    assert written[0] == "1\n"
    assert written[-1] == f"({99 - len(written) + 1} entries left out: nobody read fast enough)\n"


def test_what_cannot_be_written_is_said_once_and_the_next_is_tried(signal):
    """LOG-6"""
    written, complaints = [], []

    def write(text):
        if text != "3\n":
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(text)

    outlet = Outlet(word, write, complain=complaints.append)
    for number in range(1, 5):
        outlet.observe(number, signal())
    assert outlet.close(timeout_s=30)
    assert written == ["3\n"]
    assert [error.errno for error in complaints] == [errno.ENOSPC]
    assert outlet.unwritten == 3


def test_the_outlet_begins_with_the_first_entry(signal):
    begun = []
    empty = Outlet(word, begun.append, begin=lambda: begun.append("begin"))
    assert empty.close(timeout_s=30)
    assert begun == []
    outlet = Outlet(word, begun.append, begin=lambda: begun.append("begin"))
    outlet.observe(1, signal())
    outlet.observe(2, signal())
    assert outlet.close(timeout_s=30)
    assert begun == ["begin", "1\n", "2\n"]


def test_a_reader_that_went_away_does_not_bring_nerve_down(signal):
    """CTL-3"""
    calls = []

    def write(text):
        calls.append(text)
        raise BrokenPipeError

    outlet = Outlet(word, write)
    for number in range(100):
        outlet.observe(number, signal())
    assert outlet.close(timeout_s=30)
    assert len(calls) == 1
