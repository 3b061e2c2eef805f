"""Versions of Python and SQLite, and what is known of them. Pure, but for what asks them."""

import platform
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing

from nerve.cli.doctor.finding import Finding, error, note, sound, warning
from nerve.cli.doctor.patient import Patient

Version = tuple[int, int, int]

TESTED = ((3, 11), (3, 14))
"""The oldest and the newest Python that nerve is tested with."""
UPGRADE_BREAKS = frozenset({(3, 13, 10), (3, 14, 1)})
"""multiprocessing speaks another language there than before and after (python/cpython#142206)."""
GREEDY_COLLECTOR = ((3, 14, 0), (3, 14, 5))
"""From, and before: its garbage collector kept too much, and was taken back."""
OLDEST_SQLITE = (3, 38, 0)
"""STRICT tables came with 3.37, JSON in every build with 3.38."""
WAL_RESET_FIXED = (3, 51, 3)
WAL_RESET_FIXED_EARLIER = {(3, 44): 6, (3, 50): 7}
"""Older lines that have the mend as well, from this patch on (sqlite.org/wal.html)."""


def look_at_python(_patient: Patient) -> Iterator[Finding]:
    """Look at the Python that runs this command, which is that of `nerve run` here."""
    major, minor, micro, stage, _ = sys.version_info
    collector = getattr(sys, "_is_gil_enabled", lambda: True)
    yield from python_findings((major, minor, micro), stage, has_gil=collector())


def look_at_sqlite(_patient: Patient) -> Iterator[Finding]:
    """Look at the SQLite library that Python was linked to."""
    with closing(sqlite3.connect(":memory:")) as raw:
        options = [option for (option,) in raw.execute("PRAGMA compile_options")]
    yield from sqlite_findings(sqlite3.sqlite_version_info, options)


def python_findings(version: Version, stage: str, *, has_gil: bool) -> Iterator[Finding]:
    """Say what is known of a Python version; `stage` is `final` for a release."""
    text = ".".join(map(str, version))
    found = [*_python_faults(version, text), *_unknown_python(version, text)]
    if stage != "final":
        hint = "use a release where it matters"
        found.append(warning(f"Python {text} is a pre-release ({stage})", hint=hint))
    if not has_gil:
        fact, why = f"Python {text} runs without its global lock", "nerve is not tested with it"
        found.append(warning(fact, why=why, hint="use the ordinary build"))
    yield from found or [sound(f"{text}, {platform.python_implementation()}")]


def _unknown_python(version: Version, text: str) -> Iterator[Finding]:
    oldest, newest = TESTED
    if version[:2] < oldest:
        yield error(f"Python {text} is too old", hint=f"use {_line(oldest)} or later")
    elif version[:2] > newest:
        why = f"nerve is tested with {_line(oldest)} to {_line(newest)}"
        yield note(f"Python {text} is newer than what is known here", why=why)


def _python_faults(version: Version, text: str) -> Iterator[Finding]:
    if version in UPGRADE_BREAKS:
        yield note(
            f"Python {text} cannot be replaced, nor put in the place of another, under a running "
            "nerve",
            why="new workers would not understand it",
            hint="restart nerve after such an upgrade",
        )
    begin, end = GREEDY_COLLECTOR
    if begin <= version < end:
        yield note(
            f"Python {text} may keep several times the memory that it needs",
            why="its garbage collector was taken back for that in 3.14.5; a group may meet its "
            "`memory` early",
            hint="upgrade Python",
        )


def sqlite_findings(version: Version, options: Sequence[str]) -> Iterator[Finding]:
    """Say what is known of an SQLite version; `options` as `PRAGMA compile_options` has them."""
    text = ".".join(map(str, version))
    if version < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        yield error(f"SQLite {text} lacks what nerve's tables need", hint=f"use {oldest} or later")
    elif "THREADSAFE=0" in options:
        yield error(
            f"SQLite {text} was built for one thread alone",
            why="the journal is written by a thread of its own",
            hint="use another build of SQLite, or of Python",
        )
    elif lacking := [o for o in ("OMIT_JSON", "OMIT_WAL", "OMIT_AUTHORIZATION") if o in options]:
        yield error(
            f"SQLite {text} was built with {', '.join(lacking)}", hint="use another build of it"
        )
    elif _resets_badly(version):
        yield note(
            f"SQLite {text} can damage a WAL that two connections write or checkpoint at the same "
            "instant",
            why="nerve has one writer for each file, so it does not come to that",
            hint="write none of its databases while it runs; SQLite 3.51.3 is free of it",
        )
    else:
        yield sound(text)


def _resets_badly(version: Version) -> bool:
    mended = WAL_RESET_FIXED_EARLIER.get(version[:2])
    return version < WAL_RESET_FIXED and (mended is None or version[2] < mended)


def _line(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
