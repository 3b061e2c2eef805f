import errno
import json
import threading
from zoneinfo import ZoneInfo

import pytest

from nerve.cli.frames import stack_lines
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


def test_what_nerve_does_is_wrapped_with_its_times_in_the_zone_of_the_reader(person, log):
    paused = "its pause since 2026-11-21T01:03:18.318013Z was ended by `nerve resume`"
    told = log(type_="sense.resumed", payload=json.dumps({"message": paused}))
    first, *rest = person()(1, told).splitlines()
    assert rest
    assert "since 2026-11-21 02:03:18 was ended by `nerve resume`" in " ".join(
        " ".join([first, *rest]).split()
    )


def test_what_a_sense_says_has_its_times_as_it_wrote_them(person, log):
    said = log(payload=json.dumps({"message": "at 2026-11-21T01:03:18Z"}))
    assert "at 2026-11-21T01:03:18Z" in person()(1, said)


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


def test_the_stack_of_a_worker_that_hung_stands_below_its_row_line_by_line(person, log):
    """RUN-3, CTL-3"""
    stack = (
        "Thread 0x1 (most recent call first):\n"
        '  File "a.py", line 1 in wait\n'
        "\n"
        "Thread 0x2 (most recent call first):\n"
        '  File "\x1b[31mb.py", line 2 in compute'
    )
    row = log(
        type_="worker.hard_timeout",
        level="error",
        payload=json.dumps({"message": "disk did not end; killed", "stack": stack}),
    )
    head, *lines = person()(1, row).splitlines()
    assert head.endswith("worker.hard_timeout: disk did not end; killed")
    assert [line.startswith(" " * 10) for line in lines] == [True] * 4
    assert lines[1].strip() == 'File "a.py", line 1 in wait'
    assert lines[3].strip() == 'File "\\x1b[31mb.py", line 2 in compute'


def test_a_stack_without_end_is_cut_to_the_innermost_frames_of_the_last_threads():
    frames = "".join(f"\n  frame {number}" for number in range(100))
    lines = stack_lines("\n\n".join(f"Thread {number}:{frames}" for number in range(9)))
    assert lines[0] == "(6 more threads)"
    assert [line for line in lines if line.startswith("Thread")] == [
        "Thread 6:",
        "Thread 7:",
        "Thread 8:",
    ]
    assert lines[-1] == "  (88 more lines; `nerve logs --json` has all)"
    assert lines[-2] == "  frame 11"
    assert stack_lines("") == []


def test_the_thread_that_crashed_is_shown_among_many():
    others = "\n\n".join(f"Thread {number}:\n  frame" for number in range(9))
    lines = stack_lines(f"Fatal Python error: Aborted\n\nCurrent thread 7:\n  here\n\n{others}")
    assert lines[:4] == [
        "(6 more threads)",
        "Fatal Python error: Aborted",
        "Current thread 7:",
        "  here",
    ]


def test_a_frame_that_follows_itself_is_counted():
    lines = stack_lines("Thread 1:\n  a\n  a\n  a\n  b")
    assert lines == ["Thread 1:", "  a", "  (the same 2 more times)", "  b"]


def test_a_death_is_told_once_and_what_follows_from_it_without_its_words(person, log):
    """RUN-9, CTL-3"""
    word, died = person(width=200), "the worker exited with 3 while disk ran"
    until = "2026-11-21T01:04:18.318013Z"
    resting = {"message": f"not run before {until}: {died}", "until": until}
    quarantined = {"message": f"in quarantine until {until}: {died}", "until": until}

    def told(source, type_, payload):
        return word(1, log(source=source, type_=type_, level="error", payload=json.dumps(payload)))

    assert died in told("host", "worker.died", {"message": died})
    rest = told("disk", "sense.resting", resting)
    assert rest.endswith("sense.resting: not run before 2026-11-21 02:04:18\n")
    assert told("disk", "compute.crashed", {"message": died}) is None
    assert died in told("disk", "sense.quarantined", quarantined)
    other = "the worker exited with 4 while disk ran"
    assert other in told("disk", "compute.crashed", {"message": other})


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


@pytest.mark.parametrize(
    "type_", ["worker.ready", "worker.stopped", "nerve.started", "recovery.finished"]
)
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
