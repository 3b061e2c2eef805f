"""The log read across its tables and its archived days."""

import gzip
import shlex
from contextlib import closing, suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerve.cli import timeline as timeline_module
from nerve.cli.entries import Damaged, Entry
from nerve.cli.selection import Selection
from nerve.cli.timeline import MAX_ID, open_timeline
from nerve.config import load_config
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir

AT_US = 1_795_222_998_318_013  # 2026-11-21T01:03:18.318013Z
DAY_US = 86_400_000_000

MADE = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TIMES = st.integers(0, 3 * 24).map(lambda hours: AT_US + hours * 3_600_000_000)
SIGNALS = st.builds(
    SignalEntry,
    sense=st.sampled_from(["disk", "größe"]),
    epoch=st.just("e"),
    seq=st.just(0),
    at_us=TIMES,
    payload=st.sampled_from(['"disk"', '{"n": 1.50}']),
    cause=st.just('{"kind": "interval"}'),
)
LOGS = st.builds(
    LogEntry,
    at_us=TIMES,
    source=st.sampled_from(["disk", "größe"]),
    type=st.sampled_from(["log", "worker.died", "signal"]),
    level=st.sampled_from(["debug", "info", "warning", "error"]),
    ref=st.sampled_from([None, "trigger:a/1"]),
    payload=st.sampled_from(['{"message": "error, not signal"}', "null"]),
)
ENTRIES = st.lists(SIGNALS | LOGS, min_size=1, max_size=30)
SELECTIONS = st.builds(
    Selection,
    source=st.sampled_from([None, "disk", "größe"]),
    type=st.sampled_from([None, None, "log", "worker.died", "signal"]),
    level=st.sampled_from([None, None, "debug", "info", "warning", "error"]),
    ref=st.sampled_from([None, None, "trigger:a/1"]),
    since_us=st.none() | TIMES,
    until_us=st.none() | TIMES,
) | st.builds(
    Selection, st.just(True), source=st.sampled_from([None, "disk"]), since_us=st.none() | TIMES
)


def numbered(entries):
    """Give each signal a `seq` of its own."""
    return [
        SignalEntry(e.sense, e.epoch, n, e.at_us, e.payload, e.cause)
        if isinstance(e, SignalEntry)
        else e
        for n, e in enumerate(entries, start=1)
    ]


@pytest.fixture
def opened(project):
    loaded = load_config(project.config, environ={})
    return lambda complain=pytest.fail: open_timeline(loaded, complain)


@pytest.fixture
def anew(project, tmp_path_factory):
    """Begin with an empty state directory, for one example of many."""

    def begin():
        folder = tmp_path_factory.mktemp("state")
        project.state = StateDir(folder)
        project.write("nerve.yaml", f"state_dir: {folder}\nsenses: {{disk: {{}}}}\n")
        loaded = load_config(project.config, environ={})
        return lambda: open_timeline(loaded, pytest.fail)

    return begin


@MADE
@given(data=st.data())
def test_whatever_is_archived_a_page_holds_the_same(project, anew, data):
    """LOG-2, LOG-3"""
    opened = anew()
    entries = numbered(data.draw(ENTRIES))
    project.record(*entries)
    selection, limit = data.draw(SELECTIONS), data.draw(st.integers(1, 31))
    after, until = data.draw(st.integers(0, 31)), data.draw(st.integers(0, 31) | st.just(MAX_ID))

    def pages():
        with opened() as timeline:
            return (
                timeline.oldest(selection, limit, after=after, until=until),
                timeline.newest(selection, limit, until=until),
            )

    expected = pages()
    assert all(isinstance(entry, Entry) for page in expected for entry in page.entries)
    compressed = data.draw(st.booleans())
    for until_id in sorted(data.draw(st.lists(st.integers(1, 31), max_size=3))):
        project.archive(
            until_id=until_id, compressed=compressed, delete=data.draw(st.integers(0, 3)) > 0
        )
        assert pages() == expected


class Enough(Exception):
    pass


@MADE
@given(data=st.data())
def test_a_follower_far_behind_an_archive_at_work_misses_and_doubles_nothing(project, anew, data):
    """LOG-2, LOG-3"""
    opened = anew()
    ahead = numbered(data.draw(ENTRIES) + data.draw(ENTRIES))
    first, compressed = data.draw(st.integers(1, len(ahead))), data.draw(st.booleans())
    project.record(*ahead[:first])
    ahead = iter(ahead[first:])
    selection, after = data.draw(SELECTIONS), data.draw(st.integers(0, 20))
    seen, recorded, looked_at = [], [], []

    def something_happens():
        deed = data.draw(st.sampled_from(["nothing", "nothing", "record", "archive", "copy"]))
        if deed == "record" and (entry := next(ahead, None)):
            project.record(entry)
            recorded.append(entry)
        elif deed in ("archive", "copy"):
            until_id = data.draw(st.integers(1, 60))
            project.archive(until_id=until_id, compressed=compressed, delete=deed == "archive")

    def pause():
        # What was recorded since the follower looked, it has still to see.
        rest, was_looked_at = list(ahead), recorded == looked_at
        looked_at[:] = recorded
        if not rest and was_looked_at:
            raise Enough
        project.record(*rest)

    with pytest.MonkeyPatch.context() as patch, opened() as timeline:
        patch.setattr(timeline_module, "PART_ROWS", 3)
        try:
            for entry in timeline.follow(selection, after, pause):
                seen.append(entry)
                something_happens()
        except Enough:
            pass
        assert seen == timeline.oldest(selection, 10**4, after=after).entries
    assert all(one.id < other.id for one, other in pairwise(seen))


@pytest.fixture
def three_days(project, signal, log):
    """Six entries of three days, those of the first two archived."""

    def make(**options):
        project.record(
            *(make(at_us=AT_US + day * DAY_US) for day in range(3) for make in (signal, log))
        )
        project.archive(until_id=4, **options)

    return make


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("start", [(), ("--since-id", "0")])
def test_pages_go_on_through_archived_days(project, three_days, json_lines, start, compressed):
    """LOG-3, CTL-3"""
    three_days(compressed=compressed)
    pages, words = [], ["logs", "--json", "--limit", "1", *start]
    while words:
        done = project.nerve(*words)
        pages.append([line["id"] for line in json_lines(done.stdout)])
        words = shlex.split(done.stderr.strip().removeprefix("more: nerve "))
    assert pages == [[n] for n in (range(1, 7) if start else range(6, 0, -1))]


def test_an_archived_entry_looks_as_it_did_before(project, three_days, signal, log):
    """LOG-3"""
    project.record(signal(payload='{"a": [1.0, "ü"]}', cause='{"kind": "on"}'), log(ref="a"))
    commands = (["logs", "--json"], ["signals", "--json"], ["logs"], ["signals"])
    before = [project.nerve(*words).stdout for words in commands]
    project.archive()
    assert [project.nerve(*words).stdout for words in commands] == before


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["--since", "2026-11-22"], [3, 4, 5, 6]),
        (["--until", "2026-11-22"], [1, 2]),
        (["--since", "2026-11-22", "--until", "2026-11-22T01:03:18.318013Z"], []),
        (["--since", "2026-11-22", "--until", "2026-11-22T01:03:18.318014Z"], [3, 4]),
        (["--since", "0001-01-01"], [1, 2, 3, 4, 5, 6]),
        (["--until", "9999-12-31"], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_time_range_is_the_same_in_tables_and_files(
    project, three_days, json_lines, times, expected
):
    """LOG-2"""
    three_days()
    done = project.nerve("logs", "--json", *times)
    assert [line["id"] for line in json_lines(done.stdout)] == expected
    done = project.nerve("signals", "--json", *times)
    assert [line["id"] for line in json_lines(done.stdout)] == [n for n in expected if n % 2]


def test_following_has_no_end(project, three_days):
    three_days()
    done = project.nerve("logs", "-f", "--until", "1h")
    assert done.exit_code == 2
    assert "--until" in done.stderr


def test_a_page_opens_no_file_that_it_needs_nothing_from(project, three_days, json_lines):
    """LOG-3"""
    three_days()
    for file in project.state.archive.glob("*/2026-11-2[12].jsonl"):
        file.write_text("rubbish")
    for words in (["--limit", "1"], ["--since-id", "4"], ["--since", "2026-11-23T00:00Z"]):
        done = project.nerve("logs", "--json", *words)
        assert json_lines(done.stdout)[-1]["id"] == 6
        assert "rubbish" not in done.stderr
        assert "warning" not in done.stderr


def test_a_file_that_the_journal_does_not_name_is_no_archive(project, three_days, json_lines):
    """LOG-3"""
    three_days()
    (project.state.archive / "logs/2026-11-20.jsonl").write_text('{"id": 0}\n')
    (project.state.archive / ".unfinished-x").write_text("{")
    done = project.nerve("logs", "--json")
    assert len(json_lines(done.stdout)) == 6
    assert done.stderr == ""


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("command", [["logs"], ["logs", "--json"], ["signals"], ["signals", "-f"]])
def test_a_file_that_is_gone_is_told_once_and_the_rest_is_shown(
    project, three_days, background, command, compressed
):
    """LOG-3, CTL-3"""
    three_days(compressed=compressed)
    (gone,) = project.state.archive.glob("signals/2026-11-21*")
    gone.unlink()
    if "-f" in command:
        process = background(*command, "--since-id", "0")
        shown = [process.stdout.readline() for _ in range(2)]
        told = process.stderr.readline()
    else:
        done = project.nerve(*command)
        assert done.exit_code == 0
        shown, told = done.stdout.splitlines(), done.stderr
    assert len(shown) == (5 if "logs" in command else 2)
    assert told.startswith(f"warning: {gone} is missing")
    assert told.count("\n") == 1
    assert "restore it" in told


def test_a_damaged_file_is_told_once_and_what_is_sound_in_it_is_shown(project, log, json_lines):
    """LOG-3"""
    project.record(*(log() for _ in range(5)))
    project.archive()
    (file,) = project.state.archive.glob("logs/*.jsonl")
    lines = file.read_text().splitlines()
    lines[1], lines[3] = "?" * len(lines[1]), lines[3][:-9]
    file.write_text("\n".join(lines))
    for words in ([], ["--since-id", "0"], ["--source", "disk"]):
        done = project.nerve("logs", "--json", *words)
        assert [line["id"] for line in json_lines(done.stdout)] == [1, 3, 5]
        (told,) = [line for line in done.stderr.splitlines() if "entry 4" not in line]
        assert told.startswith(f"warning: {file} is damaged")
        assert "restore the file" in told


@pytest.mark.parametrize(
    "damage",
    [
        '"payload": null, "raw": {"payload": "{"}',
        '"payload": 1, "at_us": "now"',
        f'"payload": 1, "at_us": {2**63 - 1}',
        '"payload": 1, "source": 7',
        '"payload": NaN',
    ],
)
def test_a_damaged_row_is_named_by_its_id_when_it_is_archived_too(project, log, json_lines, damage):
    """BOOT-6, LOG-3"""
    project.record(log(), log(), log())
    project.archive()
    (file,) = project.state.archive.glob("logs/*.jsonl")
    first, second, third = file.read_text().splitlines(keepends=True)
    second = second.replace('"payload": {"message": "hello"}', damage)
    file.write_text(first + second.ljust(200) + third)
    done = project.nerve("logs", "--json")
    assert [line["id"] for line in json_lines(done.stdout)] == [1, 3]
    assert done.stderr == "entry 2 is damaged; it was skipped\n"


def test_a_follower_of_its_own_process_gets_each_entry_once_while_days_go(
    project, signal, log, background
):
    """LOG-2, LOG-3"""
    project.record(*(make() for _ in range(700) for make in (signal, log)))
    project.archive(until_id=500)
    process = background("logs", "-f", "--since-id", "0", "--limit", "1")
    seen = [int(process.stdout.readline().split()[0])]
    with closing(Journal(project.state.journal_path)) as journal:
        for day in range(1, 5):
            project.archive(until_id=300 * day)
            for _ in range(40):
                entries = [make(at_us=AT_US + day * DAY_US) for make in (signal, log, log)]
                journal.commit(Batch(entries=entries))
    project.archive(until_id=1_700)
    seen += [int(process.stdout.readline().split()[0]) for _ in range(1_879)]
    assert seen == list(range(1, 1_881))


def test_what_is_archived_between_two_statements_of_one_reading_is_not_missed(
    project, opened, signal, log
):
    """LOG-3"""
    project.record(*(make() for _ in range(3) for make in (signal, log)))

    def archive_once(statement):
        if statement.startswith("SELECT * FROM ("):
            timeline._reader.set_trace_callback(None)
            project.archive()

    with opened() as timeline:
        timeline._reader.set_trace_callback(archive_once)
        page = timeline.oldest(Selection(), 10)
    assert [entry.id for entry in page.entries] == list(range(1, 7))


def test_a_file_that_takes_anothers_place_while_it_is_read_is_no_fault(project, opened, three_days):
    """LOG-3"""
    three_days()
    plain = project.state.archive / "logs/2026-11-22.jsonl"
    packed = plain.with_suffix(".jsonl.gz")
    with opened() as timeline:
        followed = timeline.follow(Selection(), 0, pytest.fail)
        seen = [next(followed).id for _ in range(2)]
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        size = packed.stat().st_size
        project.damage(
            f"UPDATE archives SET file = file || '.gz', bytes = {size}"
            " WHERE (kind, day) = ('logs', '2026-11-22')"
        )
        project.damage("UPDATE meta SET value = value + 1 WHERE key = 'archive_changes'")
        plain.unlink()
        seen += [next(followed).id for _ in range(4)]
    assert seen == list(range(1, 7))


def test_a_look_at_what_is_new_reads_nothing_of_days_long_archived(
    project, opened, three_days, log
):
    """LOG-2"""
    three_days()

    def asked_by(timeline, after):
        asked = []
        timeline._reader.set_trace_callback(asked.append)
        with suppress(Enough):
            list(timeline.follow(Selection(), after, pause))
        timeline._reader.set_trace_callback(None)
        return [statement for statement in asked if "FROM archives" in statement]

    def pause():
        raise Enough

    with opened() as timeline:
        assert len(asked_by(timeline, 0)) == 1
        project.record(log(at_us=AT_US + 3 * DAY_US))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timeline_module._Span, "touches", pytest.fail)
            assert asked_by(timeline, 6) == []
        project.archive(until_id=7)
        assert len(asked_by(timeline, 0)) == 1


@pytest.mark.parametrize("is_falling", [False, True])
def test_what_comes_again_and_too_late_is_left_out(is_falling):
    """LOG-2"""
    tables, file = [Damaged(1), Damaged(4), Damaged(6)], [Damaged(1), Damaged(4), Damaged(5)]
    if is_falling:
        tables, file = [Damaged(6), Damaged(4), Damaged(1)], [Damaged(6), Damaged(4), Damaged(3)]
    begun = [(tables[0].id, iter(tables)), (5 if not is_falling else 3, iter(file))]
    found = [entry.id for entry in timeline_module._merged(begun, is_falling=is_falling)]
    assert found == ([6, 4, 3, 1] if is_falling else [1, 4, 5, 6])
