import json
import os
import shlex
from contextlib import closing
from zoneinfo import ZoneInfo

import pytest

from nerve.cli.moments import parse_moment
from nerve.cli.selection import Selection
from nerve.cli.timeline import Timeline, open_timeline
from nerve.clock import rfc3339
from nerve.config import load_config
from nerve.store.batch import Batch
from nerve.store.journal import Journal

AT_US = 1_795_222_998_318_013
AT = "2026-11-21T01:03:18.318013Z"
HOUR_US = 3_600_000_000


def ids(done, json_lines):
    return [line["id"] for line in json_lines(done.stdout)]


def test_a_signal_has_the_same_keys_in_every_line(project, signal, json_lines):
    """CTL-3"""
    project.record(signal(payload='{"used": 22}', cause='{"kind": "interval"}'))
    (line,) = json_lines(project.nerve("signals", "--json").stdout)
    assert line == {
        "id": 1,
        "sense": "disk",
        "at": AT,
        "payload": {"used": 22},
        "cause": {"kind": "interval"},
    }
    assert list(line) == ["id", "sense", "at", "payload", "cause"]


def test_a_log_row_has_the_same_keys_in_every_line_and_signals_are_among_them(
    project, signal, log, json_lines
):
    """LOG-2"""
    project.record(log(ref="trigger:a/1"), signal(payload="[1]"))
    row, told = json_lines(project.nerve("logs", "--json").stdout)
    assert row == {
        "id": 1,
        "at": AT,
        "source": "disk",
        "type": "log",
        "level": "info",
        "ref": "trigger:a/1",
        "payload": {"message": "hello"},
    }
    assert list(told) == list(row)
    assert (told["type"], told["source"], told["payload"]) == ("signal", "disk", [1])


def test_the_newest_are_shown_and_the_newest_stands_last(project, signal, json_lines):
    """CTL-3"""
    project.record(*(signal() for _ in range(5)))
    done = project.nerve("signals", "--json", "--limit", "2")
    assert ids(done, json_lines) == [4, 5]


def test_a_list_that_was_cut_says_the_command_of_the_next_page(project, signal, json_lines):
    """CTL-3"""
    project.record(*(signal() for _ in range(5)))
    seen = []
    words = ["signals", "--json", "--limit", "2"]
    while words:
        done = project.nerve(*words)
        seen = ids(done, json_lines) + seen
        hint = done.stderr.strip()
        assert hint.startswith("more: nerve ") or not hint
        words = shlex.split(hint.removeprefix("more: nerve "))
    assert seen == [1, 2, 3, 4, 5]


def test_from_an_id_on_pages_go_forward(project, signal, json_lines):
    """SIG-1"""
    project.record(*(signal() for _ in range(5)))
    done = project.nerve("signals", "--json", "--since-id", "1", "--limit", "3")
    assert ids(done, json_lines) == [2, 3, 4]
    assert "--since-id 4" in done.stderr
    assert "--json" in done.stderr
    last = project.nerve("signals", "--json", "--since-id", "4")
    assert ids(last, json_lines) == [5]
    assert last.stderr == ""


def test_the_next_page_keeps_the_configuration_and_the_filters(project, log):
    project.record(*(log(source="a b") for _ in range(3)))
    done = project.nerve("-c", str(project.config), "logs", "--source", "a b", "--limit", "1")
    assert f"nerve -c {project.config} logs --source 'a b'" in done.stderr


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--sense", "disk"], [1, 2, 6]),
        (["--source", "host"], [3]),
        (["--type", "worker.died"], [3]),
        (["--type", "signal"], [6]),
        (["--level", "warning"], [3, 4]),
        (["--level", "debug"], [1, 2, 3, 4, 5, 6]),
        (["--ref", "trigger:a/7"], [4]),
        (["--since", "2026-11-21T02:03:19+00:00"], [5]),
        (["--since", "2026-11-21 03:03:19"], [5]),
        (["--sense", "disk", "--type", "log"], [1, 2]),
    ],
)
def test_log_rows_are_filtered(project, signal, log, json_lines, filters, expected):
    """LOG-2"""
    project.record(
        log(),
        log(),
        log(source="host", type_="worker.died", level="error"),
        log(source="nerve", level="warning", ref="trigger:a/7"),
        log(source="nerve", level="debug", at_us=AT_US + 2 * HOUR_US),
        signal(),
    )
    assert ids(project.nerve("logs", "--json", *filters), json_lines) == expected


def test_signals_are_filtered_by_sense(project, signal, json_lines):
    project.record(signal("disk"), signal("cpu-usage"))
    assert ids(project.nerve("signals", "--json", "--sense", "cpu-usage"), json_lines) == [2]


def test_a_slip_in_a_name_that_finds_nothing_is_told(project, signal):
    project.record(signal())
    done = project.nerve("signals", "--sense", "dikk")
    assert done.exit_code == 0
    said = "nothing found: nerve.yaml has no sense 'dikk'; did you mean \"disk\"?\n"
    assert done.stderr == said


def test_a_name_of_the_configuration_that_finds_nothing_is_no_slip(project, log):
    project.record(log())
    for name in ("host", "nerve", "cpu-usage"):
        assert project.nerve("logs", "--sense", name).stderr == "nothing found\n"


def test_following_a_sense_that_is_not_configured_says_so_first(project, background, signal):
    project.record(signal())
    process = background("signals", "-f", "--sense", "nope")
    assert process.stderr.readline() == "warning: nerve.yaml has no sense 'nope'\n"


@pytest.mark.parametrize("option", ["--since-id", "--before-id"])
def test_an_id_that_no_entry_can_have_is_a_usage_error(project, signal, option):
    project.record(signal())
    done = project.nerve("signals", option, "9" * 20)
    assert done.exit_code == 2
    assert option in done.stderr


def test_on_a_terminal_a_long_line_is_wrapped_below_its_beginning(on_terminal, log):
    """CTL-3"""
    words = "all of the words that a person wants to read at night " * 3
    on_terminal.project.record(log(payload=f'{{"message": "{words.strip()}"}}'))
    first, *rest = on_terminal("logs")
    indent = first.index("log: ")
    assert max(map(len, [first, *rest])) <= 80
    assert all(line[:indent].isspace() for line in rest)
    assert " ".join([first[indent + 5 :], *map(str.strip, rest)]) == words.strip()


def test_a_time_that_is_none_is_a_usage_error_that_shows_the_forms(project, signal):
    project.record(signal())
    done = project.nerve("logs", "--since", "yesterday")
    assert done.exit_code == 2
    assert "1h30m" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", "2026-11-21T00:53:18.318013Z"),
        ("2026-11-21", "2026-11-20T23:00:00.000000Z"),
        ("02:03", "2026-11-21T01:03:00.000000Z"),
        ("02:04", "2026-11-20T01:04:00.000000Z"),
        ("01:03Z", "2026-11-21T01:03:00.000000Z"),
        ("06:34+05:30", "2026-11-20T01:04:00.000000Z"),
        ("2026-11-21 14:03", "2026-11-21T13:03:00.000000Z"),
        ("2026-11-21T13:03:22.000001Z", "2026-11-21T13:03:22.000001Z"),
    ],
)
def test_a_moment_is_read_as_a_duration_ago_or_in_the_zone(text, expected):
    zone = ZoneInfo("Europe/Berlin")
    assert rfc3339(parse_moment(text, now_us=AT_US, zone=zone)) == expected


@pytest.mark.parametrize("command", ["signals", "logs"])
def test_before_anything_has_run_it_says_so_and_ends_with_69(project, command):
    """CTL-2"""
    done = project.nerve(command)
    assert done.exit_code == 69
    assert "nothing has run here yet" in done.stderr
    assert "nerve run" in done.stderr


def test_a_first_start_that_was_killed_early_counts_as_nothing(project):
    """CTL-2"""
    project.state.create()
    project.state.journal_path.touch()
    assert project.nerve("logs").exit_code == 69


def test_a_damaged_journal_is_told_apart_from_a_missing_one_and_left_as_it_is(project):
    """BOOT-6"""
    project.state.create()
    rubbish = b"not a database, not at all" * 100
    project.state.journal_path.write_bytes(rubbish)
    done = project.nerve("logs")
    assert done.exit_code == 73
    assert "is no SQLite database" in done.stderr
    assert project.state.journal_path.read_bytes() == rubbish


@pytest.mark.parametrize("misplaced", ["data", "data/logs.db"])
def test_a_file_in_place_of_a_directory_and_the_reverse_are_told(project, misplaced):
    """BOOT-6"""
    if misplaced == "data":
        project.write("data", "")
    else:
        project.state.journal_path.mkdir(parents=True)
    done = project.nerve("logs")
    assert done.exit_code == 73
    assert f"{misplaced} is not a " in done.stderr


def test_a_journal_of_another_version_is_refused(project, signal):
    project.record(signal())
    project.damage("UPDATE nerve_version SET version_num = '9999'")
    done = project.nerve("logs")
    assert done.exit_code == 73
    assert "9999" in done.stderr


@pytest.mark.parametrize(
    "damage",
    [
        "payload = 'no json'",
        "cause = '{'",
        "payload = 'NaN'",
        "payload = CAST(x'22ff22' AS TEXT)",
        "at_us = 9223372036854775807",
        f"payload = '{'[' * 100_000}'",
    ],
)
def test_a_damaged_row_is_skipped_and_named_by_its_id(project, signal, json_lines, damage):
    """BOOT-6"""
    project.record(signal(), signal(), signal())
    project.damage(f"UPDATE signals SET {damage} WHERE id = 2")
    done = project.nerve("signals", "--json")
    assert ids(done, json_lines) == [1, 3]
    assert done.stderr == "entry 2 is damaged; it was skipped\n"
    assert done.exit_code == 0


def test_what_a_sense_wrote_cannot_command_the_terminal(project, signal):
    payload = '{"summary": "\\u001b]0;title\\u0007 \\u009b2J \\u202e"}'
    project.record(signal(payload=payload))
    for arguments in (["signals"], ["logs"], ["signals", "--json"]):
        out = project.nerve(*arguments).stdout
        assert not set("\x1b\x07\x9b\u202e").intersection(out)


def test_times_for_people_are_those_of_the_configured_zone(project, signal):
    project.record(signal())
    line = project.nerve("signals").stdout
    assert line == "     1  2026-11-21 02:03:18  disk       22 % used\n"


def test_the_journal_is_read_beside_a_running_parent(project, signal, json_lines):
    """CTL-2"""
    project.state.create()
    lock = project.state.lock()
    journal = Journal(project.state.journal_path)
    try:
        journal.commit(Batch(entries=[signal()]))
        assert ids(project.nerve("signals", "--json"), json_lines) == [1]
    finally:
        journal.close()
        os.close(lock)


def test_following_misses_nothing_and_sees_nothing_twice(project, signal, log):
    """LOG-2"""
    project.record(signal(), log(), signal())
    journal = Journal(project.state.journal_path)
    commits = iter([[signal()], [], [log(), signal(), signal()], [signal("cpu-usage")], [signal()]])

    class Enough(Exception):
        pass

    def pause():
        entries = next(commits, None)
        if entries is None:
            raise Enough
        journal.commit(Batch(entries=entries))

    loaded = load_config(project.config, environ={})
    seen = []
    try:
        with open_timeline(loaded, pytest.fail) as timeline, pytest.raises(Enough):
            followed = timeline.follow(Selection(True, source="disk"), 1, pause)
            seen.extend(entry.id for entry in followed)
    finally:
        journal.close()
    assert seen == [3, 4, 6, 7, 9]


def test_following_from_the_start_shows_all_pages_first(project, signal, background):
    """LOG-2"""
    project.record(*(signal() for _ in range(2_500)))
    process = background("signals", "-f", "--since-id", "0", "--limit", "10")
    seen = [int(process.stdout.readline().split()[0]) for _ in range(2_500)]
    assert seen == list(range(1, 2_501))
    project.record(signal(sense="cpu-usage"))
    assert process.stdout.readline().split()[0] == "2501"


def test_following_goes_on_in_the_file_that_takes_the_journals_place(project, signal, background):
    """LOG-2"""
    project.record(signal(), signal())
    process = background("signals", "-f", "--since-id", "0")

    def shown(number):
        return [process.stdout.readline().split()[0] for _ in range(number)]

    assert shown(2) == ["1", "2"]
    with closing(Journal(project.state.journal_path)) as journal:
        journal.commit(Batch(entries=[signal()]))
        assert shown(1) == ["3"]
        project.state.journal_path.unlink()
        journal.commit(Batch(entries=[signal()]))  # which writes the file back first
        assert shown(1) == ["4"]
    for file in project.state.root.glob("logs.db*"):
        file.unlink()
    fresh = project.state.root / "fresh.db"
    with closing(Journal(fresh)) as journal:
        journal.commit(Batch(entries=[signal()]))
    fresh.rename(project.state.journal_path)
    assert shown(1) == ["1"]


def test_a_page_by_id_needs_no_sorting(project, signal):
    project.record(signal())
    loaded = load_config(project.config, environ={})
    with open_timeline(loaded, pytest.fail) as timeline:
        assert isinstance(timeline, Timeline)
        for selection in (Selection(), Selection(signals_only=True), Selection(level="warning")):
            query, parameters = selection.query()
            plan = timeline._reader.execute(
                f"EXPLAIN QUERY PLAN {query} ORDER BY id DESC LIMIT 9",
                {**parameters, "after": 0, "until": 9},
            ).fetchall()
            assert b"TEMP B-TREE" not in b" ".join(row[3] for row in plan)


def test_what_went_wrong_is_found_by_its_index_in_the_order_of_ids(project, log):
    project.record(log(level="error"), log(), log(level="warning"), log(level="error"))
    project.damage(
        "CREATE INDEX IF NOT EXISTS logs_trouble ON logs (level)"
        " WHERE level IN ('warning', 'error')"
    )
    loaded = load_config(project.config, environ={})
    with open_timeline(loaded, pytest.fail) as timeline:
        for level, expected in (("warning", [1, 3, 4]), ("error", [1, 4])):
            query, parameters = Selection(level=level).query()
            (*plan,) = timeline._reader.execute(
                f"EXPLAIN QUERY PLAN {query} ORDER BY id LIMIT 9",
                {**parameters, "after": 0, "until": 9},
            )
            used = [row[3] for row in plan if b"INDEX" in row[3]]
            assert len(used) == len(expected) - 1
            assert all(b"logs_trouble" in row for row in used)
            assert b"TEMP B-TREE" not in b" ".join(row[3] for row in plan)
            page = timeline.oldest(Selection(level=level), 9)
            assert [entry.id for entry in page.entries] == expected


def test_a_terminal_shows_the_hint_and_the_frames_of_a_failure_and_the_same_ones_once(
    on_terminal, project, log
):
    """LOG-1"""
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 3\n\x1b[2Jgone'
    payload = {"message": "OSError: no", "hint": "mend it", "traceback": traceback}
    failed = {"type_": "compute.error", "level": "error", "payload": json.dumps(payload)}
    project.record(log(**failed), log(**failed))
    lines = on_terminal("logs")
    assert lines.count("        hint: mend it") == 1
    assert lines.count('          File "x.py", line 3') == 1
    assert "        \\x1b[2Jgone" in lines
    assert len([line for line in lines if "compute.error" in line]) == 2
    assert "File" not in project.nerve("logs").stdout
