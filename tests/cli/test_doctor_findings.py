"""The doctor's decisions: facts in, findings out."""

import stat
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nerve.cli.doctor import (
    access,
    archived,
    asking,
    databases,
    directory,
    holding,
    journal,
    limits,
    machine,
    space,
    told,
)
from nerve.cli.doctor.finding import Severity
from nerve.cli.doctor.patient import Boot
from nerve.cli.doctor.versions import python_findings, sqlite_findings
from nerve.cli.entries import Entry
from nerve.cli.remote import NotRunning
from nerve.clock import US_PER_S
from nerve.config.models import Config
from nerve.errors import DatabaseError
from nerve.process.cgroup import Allowance
from nerve.store.batch import Pause, Quarantine
from nerve.store.dayfile import ArchivedDay
from nerve.store.schema import JOURNAL_HEAD, SENSE_HEAD

ERROR, WARNING, NOTE, OK = Severity.ERROR, Severity.WARNING, Severity.NOTE, Severity.OK
UTC = ZoneInfo("UTC")
NOW_US = 1_795_222_998_000_000
HOUR_US = 3_600 * US_PER_S
GB = 2**30
ROOT = Path("/srv/data")


def severities(findings):
    return [finding.severity for finding in findings]


def one(findings):
    (found,) = findings
    return found


# --- versions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 10, 12), ERROR),
        ((3, 11, 7), OK),
        ((3, 13, 9), OK),
        ((3, 13, 10), NOTE),
        ((3, 13, 11), OK),
        ((3, 14, 4), NOTE),
        ((3, 14, 5), OK),
        ((3, 15, 0), NOTE),
    ],
)
def test_a_python_is_judged_by_what_is_known_of_its_version(version, expected):
    assert severities(python_findings(version, "final", has_gil=True)) == [expected]


def test_a_pre_release_and_a_build_without_the_lock_are_told():
    assert severities(python_findings((3, 14, 9), "candidate", has_gil=False)) == [WARNING] * 2


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 37, 2), ERROR),
        ((3, 40, 1), NOTE),
        ((3, 44, 5), NOTE),
        ((3, 44, 6), OK),
        ((3, 45, 0), NOTE),
        ((3, 50, 7), OK),
        ((3, 51, 2), NOTE),
        ((3, 51, 3), OK),
        ((3, 53, 0), OK),
    ],
)
def test_the_wal_reset_fault_is_a_note_up_to_the_version_that_mends_it(version, expected):
    assert severities(sqlite_findings(version, [])) == [expected]


@pytest.mark.parametrize("option", ["THREADSAFE=0", "OMIT_JSON"])
def test_a_build_of_sqlite_that_lacks_what_nerve_needs_is_an_error(option):
    assert severities(sqlite_findings((3, 53, 0), [option])) == [ERROR]


# --- the machine ------------------------------------------------------------------------

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max file size             unlimited            unlimited            bytes
Max processes             100                  200                  processes
Max open files            1024                 4096                 files
"""


def config(senses=1, **groups):
    named = {f"s{n}": {"group": "host"} for n in range(senses)}
    return Config.model_validate({"senses": named, "groups": groups})


def limited(config_, *, used=0, user=1000, is_up=False, **known):
    found = limits.limits_findings(
        config_, limits.Limits(**known), "this shell", user, used, is_up=is_up
    )
    return list(found)


def test_the_limits_of_a_process_are_read_from_the_kernel():
    assert limits.limits_in(LIMITS) == limits.Limits(1024, 4096, 100, None)


def test_limits_that_are_high_enough_are_sound():
    assert severities(limited(config(10), files=1024, processes=100, used=20)) == [OK]
    assert severities(limited(config(10))) == [OK]


def test_a_group_with_more_senses_than_files_is_an_error_that_says_what_to_raise():
    own = one(limited(config(400), files=20_000))
    assert (own.severity, "groups.host.open_files" in own.hint) == (ERROR, True)
    shell = one(limited(config(400, host={"open_files": 4096}), worker_files=1024))
    assert "the hard limit on open files" in shell.hint


def test_too_few_files_for_the_parent_are_an_error():
    assert severities(limited(config(10), files=64, worker_files=4096)) == [ERROR]


def test_too_few_processes_are_an_error_but_not_for_root_nor_beside_a_running_nerve():
    tight = {"files": 9999, "processes": 100, "used": 97}
    assert severities(limited(config(), **tight)) == [ERROR]
    assert severities(limited(config(), **tight, user=0)) == [OK]
    assert severities(limited(config(), **tight, is_up=True)) == [OK]


def test_a_limit_on_the_size_of_files_is_a_warning():
    assert severities(limited(config(), file_bytes=GB)) == [WARNING]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Allowance(), OK),
        (Allowance(memory_bytes=8 * GB, processes=1000), OK),
        (Allowance(memory_bytes=32 * 2**20), ERROR),
        (Allowance(memory_bytes=GB // 2), NOTE),
        (Allowance(processes=4), ERROR),
    ],
)
def test_what_a_control_group_gives_is_compared_with_what_nerve_needs(given, expected):
    assert severities(limits.memory_findings(config(), given)) == [expected]


@pytest.mark.parametrize(("kept", "expected"), [(True, OK), (None, OK), (False, NOTE)])
def test_of_the_clock_only_what_the_kernel_knows_is_said(kept, expected):
    assert severities(machine.clock_findings(kept)) == [expected]


# --- the file system --------------------------------------------------------------------

MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:30 / /srv rw - {kind} {source} rw{more}
29 27 0:31 / /ram rw - tmpfs none rw
30 27 0:32 / /srv\\040other rw - nfs4 host:/x rw
"""


def on(kind, source="none", more=""):
    mounts = directory.mounts_in(MOUNTINFO.format(kind=kind, source=source, more=more))
    return list(directory.file_system_findings(str(ROOT), mounts))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", OK),
        ("btrfs", OK),
        ("nfs4", ERROR),
        ("cifs", ERROR),
        ("9p", WARNING),
        ("fuse.sshfs", WARNING),
        ("tmpfs", WARNING),
        ("vfat", WARNING),
        ("overlay", NOTE),
    ],
)
def test_the_file_system_under_the_state_directory_is_judged_by_its_kind(kind, expected):
    assert severities(on(kind)) == [expected]


def test_an_overlay_over_memory_is_lost_like_memory():
    assert severities(on("overlay", more=",lowerdir=/x,upperdir=/ram/up")) == [WARNING]
    assert severities(on("overlay", more=",lowerdir=/x,upperdir=/disk/up")) == [NOTE]


def test_mounts_without_barriers_and_flash_cards_are_told():
    assert severities(on("ext4", more=",nobarrier")) == [WARNING]
    assert severities(on("ext4", "/dev/mmcblk0p2")) == [NOTE]


def test_the_longest_mount_point_counts_and_may_hold_blanks():
    mounts = directory.mounts_in(MOUNTINFO.format(kind="xfs", source="none", more=""))
    assert directory.mount_of("/srv other/data", mounts).kind == "nfs4"
    assert directory.mount_of("/srvx", mounts).kind == "ext4"


# --- space ------------------------------------------------------------------------------


def room(free, total=1000 * GB, inodes=10**6):
    return space.Room(total, free, inodes)


def test_a_journal_grows_until_its_rows_are_old_and_then_the_archive_does():
    pace = space.Pace(bytes_per_day=10, archive_bytes_per_day=1, growing_days=20, kept_days=None)
    assert pace.days_until(100) == 10
    assert pace.days_until(200) == 20
    assert pace.days_until(210) == 30


def test_a_disk_that_holds_all_that_is_kept_never_gets_full():
    pace = space.Pace(10, 1, growing_days=20, kept_days=100)
    assert pace.days_until(250) == 70
    assert pace.days_until(301) is None


@pytest.mark.parametrize(
    ("free", "days", "expected"),
    [
        (500 * GB, None, OK),
        (500 * GB, 400, OK),
        (500 * GB, 20, WARNING),
        (500 * GB, 1, ERROR),
        (GB // 2, None, WARNING),
        (2**20, None, ERROR),
    ],
)
def test_space_is_judged_by_what_is_free_and_by_how_long_it_lasts(free, days, expected):
    pace = days and space.Pace(free / days, free / days, growing_days=10**6, kept_days=None)
    assert severities(space.space_findings(room(free), pace)) == [expected]


def test_inodes_run_out_though_there_is_space():
    assert severities(space.space_findings(room(500 * GB, inodes=50), None)) == [WARNING]
    assert severities(space.space_findings(room(500 * GB, inodes=0), None)) == [ERROR]
    assert severities(space.space_findings(room(500 * GB, inodes=None), None)) == [OK]


# --- owners and modes -------------------------------------------------------------------


def entries(*inner, top=0o700, owner=1000):
    first = access.Entry("", stat.S_IFDIR | top, owner)
    return [first, *(access.Entry(path, stat.S_IFREG | mode, who) for path, mode, who in inner)]


def accessed(found, asking=1000, runs_as=None):
    return list(access.access_findings(ROOT, found, asking=asking, runs_as=runs_as))


def test_a_closed_directory_of_ones_own_is_sound():
    assert severities(accessed(entries(("logs.db", 0o600, 1000)))) == [OK]
    assert severities(accessed(entries(("logs.db", 0o600, 1000)), asking=0)) == [OK]


@pytest.mark.parametrize(("top", "expected"), [(0o755, WARNING), (0o770, ERROR), (0o700, NOTE)])
def test_what_is_open_to_others_depends_on_the_directory_above(top, expected):
    found = one(accessed(entries(("logs.db", 0o644, 1000), top=top)))
    assert found.severity is expected
    assert expected is NOTE or "chmod -R go=" in found.hint


def test_what_is_closed_to_its_own_owner_is_an_error_but_not_for_root():
    assert severities(accessed(entries(("logs.db", 0o400, 1000)))) == [ERROR]
    assert severities(accessed(entries(("logs.db", 0o400, 0), owner=0), asking=0)) == [OK]
    assert severities(accessed(entries(("archive/x.jsonl", 0o400, 1000)))) == [OK]


def test_a_link_has_no_mode_of_its_own():
    link = access.Entry("x", stat.S_IFLNK | 0o777, 1000)
    assert severities(accessed([*entries(), link])) == [OK]


def test_files_of_root_in_the_directory_of_a_user_are_an_error():
    found = one(accessed(entries(("logs.db", 0o600, 0), ("lock", 0o600, 0))))
    assert found.severity is ERROR
    assert "logs.db and 1 more entry" in found.message
    assert "root" in found.message


def test_the_directory_of_another_user_is_an_error_unless_nerve_runs_there_or_root_asks():
    theirs = entries(("logs.db", 0o600, 1000))
    assert severities(accessed(theirs, asking=1001)) == [ERROR]
    assert severities(accessed(theirs, asking=1001, runs_as=1000)) == [OK]
    assert severities(accessed(theirs, asking=0)) == [OK]


# --- the lock and leftovers --------------------------------------------------------------


def lock(pid, boot, program="/usr/bin/python3", version="1.0"):
    return one(holding.lock_findings(pid, boot, program, UTC, version))


def test_a_nerve_that_cannot_be_asked_is_a_warning_and_a_socket_left_over_a_note():
    silent = NotRunning("it does not answer", hint="kill -CONT 7")
    found = one(asking.socket_findings(7, silent, is_there=True))
    assert (found.severity, found.hint) == (WARNING, "kill -CONT 7")
    assert one(asking.socket_findings(None, None, is_there=True)).severity is NOTE
    for pid, is_there in ((7, True), (None, False)):
        assert one(asking.socket_findings(pid, None, is_there=is_there)).severity is OK


def test_a_lock_in_use_says_who_has_it_since_when_and_in_which_version():
    found = lock(7, Boot("b", 7, "1.0", NOW_US, None))
    assert found.severity is OK
    assert found.message == "process 7 runs nerve here since 2026-11-21 01:03:18, version 1.0"


def test_a_running_nerve_of_another_version_or_of_a_replaced_python_is_to_be_restarted():
    assert lock(7, Boot("b", 7, "0.9", NOW_US, None)).severity is WARNING
    replaced = lock(7, Boot("b", 7, "1.0", NOW_US, None), "/usr/bin/python3 (deleted)")
    assert replaced.severity is WARNING


def test_of_the_lock_of_a_dead_nerve_nothing_is_to_be_done():
    found = lock(None, Boot("b", 7, "1.0", NOW_US, None))
    assert (found.severity, found.hint) == (NOTE, "")
    assert lock(None, Boot("b", 7, "1.0", NOW_US, "stopped")).severity is OK
    assert lock(None, None).severity is OK


def test_processes_that_should_be_gone_are_a_warning_and_files_a_note():
    remains = holding.Remains(alive=(5, 6), unfinished=(".unfinished-x",), slates=2)
    assert severities(holding.leftover_findings(remains)) == [WARNING, NOTE]
    assert severities(holding.leftover_findings(holding.Remains(slates=1))) == [NOTE]
    assert severities(holding.leftover_findings(holding.Remains())) == [OK]


# --- databases --------------------------------------------------------------------------


def test_a_journal_of_an_older_nerve_is_a_note_and_of_a_newer_one_refused():
    """DB-2"""
    assert list(journal.journal_findings(ROOT, [JOURNAL_HEAD])) == []
    assert severities(journal.journal_findings(ROOT, ["0001"])) == [NOTE]
    with pytest.raises(DatabaseError, match="stands at revision 9999"):
        list(journal.journal_findings(ROOT, ["9999"]))


def standing(known=("a", "b"), *, is_held=False, **found):
    where = databases.Standing(**{"nerves": [SENSE_HEAD], "authors": ["b"], **found})
    return list(databases.standing_findings("disk", ROOT, where, known, NOW_US, is_held=is_held))


def test_a_database_is_at_its_head_behind_or_ahead_of_the_code():
    """DB-2"""
    assert standing(authors=["b"]) == []
    assert severities(standing(authors=["a"])) == [NOTE]
    assert severities(standing(authors=["c"])) == [ERROR]
    assert severities(standing(authors=[])) == [NOTE]
    assert standing(authors=[], known=()) == []
    assert standing(authors=["c"], known=None) == []
    for revision, expected in (("9999", ERROR), ("0000", NOTE)):
        other = databases.Standing(nerves=[revision])
        found = databases.standing_findings("disk", ROOT, other, None, NOW_US, is_held=False)
        assert severities(found) == [expected]


def test_signals_that_wait_are_news_only_where_a_running_nerve_leaves_them():
    old = {"waiting": 3, "oldest_us": NOW_US - HOUR_US}
    assert severities(standing(**old)) == [NOTE]
    assert severities(standing(**old, is_held=True)) == [WARNING]
    assert standing(waiting=3, oldest_us=NOW_US, is_held=True) == []


# --- what the log tells -------------------------------------------------------------------


def row(type_, at_us=NOW_US, source="web", **payload):
    return Entry(1, at_us, source, type_, "error", None, payload, None)


def test_a_group_that_was_given_up_is_an_error_while_nerve_runs():
    rows = [row("group.fatal", message="5 deaths", hint="mend it")]
    up = one(told.group_findings(rows, UTC, is_held=True))
    assert (up.severity, up.hint) == (ERROR, "mend it")
    assert one(told.group_findings(rows, UTC, is_held=False)).severity is WARNING


def test_one_crash_is_an_accident_and_two_in_a_day_are_a_pattern():
    crash = row("nerve.crashed", message="x")
    old = row("nerve.crashed", NOW_US - 48 * HOUR_US)
    assert list(told.crash_findings([crash, old], NOW_US)) == []
    assert severities(told.crash_findings([crash, crash], NOW_US)) == [WARNING]


def test_a_quarantine_is_a_warning_a_trial_and_a_pause_are_notes():
    held = Quarantine("disk", 1, NOW_US, NOW_US + HOUR_US, "it crashed")
    over = Quarantine("disk", 1, NOW_US, NOW_US - 1, "it crashed")
    found = told.quarantine_findings([held, over], NOW_US, UTC)
    assert severities(found) == [WARNING, NOTE]
    assert severities(told.pause_findings([Pause("disk", NOW_US, "why")], UTC)) == [NOTE]


def test_a_clock_before_the_newest_entry_is_a_warning():
    found = one(told.time_findings(NOW_US + 3 * HOUR_US, NOW_US, UTC))
    assert found.severity is WARNING
    assert "3h before" in found.message
    assert list(told.time_findings(NOW_US + US_PER_S, NOW_US, UTC)) == []


# --- the archive --------------------------------------------------------------------------


def day(name, size=10):
    return ArchivedDay("logs", name, f"logs/{name}.jsonl", 1, 2, 2, size, "")


def shelf(days, sizes, announced=(), *, is_held=False):
    found = archived.Shelf(days, sizes, announced)
    return severities(archived.shelf_findings(ROOT, found, is_held=is_held))


def test_files_of_the_archive_are_compared_with_what_the_journal_names():
    """LOG-3"""
    there = {"logs/2026-01-01.jsonl": 10}
    assert shelf([day("2026-01-01")], there) == []
    assert shelf([day("2026-01-01"), day("2026-01-02")], there) == [WARNING]
    assert shelf([day("2026-01-01", 11)], there) == [WARNING]
    assert shelf([], there) == [WARNING]
    assert shelf([], there, is_held=True) == []


def test_a_day_that_was_being_archived_is_begun_anew_by_itself():
    """LOG-3"""
    there = {"logs/2026-01-01.jsonl": 10}
    assert shelf([], there, ["archiving:logs/2026-01-01"]) == [NOTE]
