"""One section in a process of its own: started here, and what it is there.

It ends with the process that started it, and what it leaves behind is killed.
"""

import json
import os
import pkgutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.figures import Extent, Figure, Finding, Lacking, Note, Section
from nerve.process.kernel import become_subreaper, tell_of_parents_death
from nerve.process.launch import shut_down
from nerve.process.tree import kill_descendants

PATIENCE_S = {Extent.THOROUGH: 3_600.0, Extent.QUICK: 300.0, Extent.LEAST: 60.0}


def run_section(name: str, function: str, folder: Path, extent: Extent) -> list[Finding]:
    """Run it and give back what it found, or a note on why it found nothing.

    The caller is a subreaper and has no children of its own.

    Args:
        name: of the section.
        function: a `Section`, as "module:name".
        folder: where it may have a directory.
        extent: of what it measures.
    """
    place = folder / name
    place.mkdir()
    found = folder / f"{name}.json"
    command = [sys.executable, "-m", __name__, function, str(place), extent.value, str(found)]
    process = subprocess.Popen([*command, str(os.getpid())], stdin=subprocess.DEVNULL)
    try:
        code = process.wait(PATIENCE_S[extent])
    except subprocess.TimeoutExpired:
        code = None
    finally:
        kill_descendants(os.getpid())
        process.wait()
    findings = _read(found) if found.exists() else [Note(name, f"failed: {_end(code, extent)}")]
    return [replace(finding, section=name) for finding in findings]


def _end(code: int | None, extent: Extent) -> str:
    if code is None:
        return f"it did not end within {PATIENCE_S[extent]:.0f} s"
    return f"its process ended with {code}"


def _read(found: Path) -> list[Finding]:
    both = json.loads(found.read_text())
    return [*(Figure(**figure) for figure in both["figures"]), *(Note(**n) for n in both["notes"])]


def _write(found: Path, findings: Sequence[Finding]) -> None:
    figures = [asdict(finding) for finding in findings if isinstance(finding, Figure)]
    notes = [asdict(finding) for finding in findings if isinstance(finding, Note)]
    found.write_text(json.dumps({"figures": figures, "notes": notes}))


def _measure(function: str, folder: Path, extent: Extent) -> Sequence[Finding]:
    try:
        section: Section = pkgutil.resolve_name(function)
        return section(folder, extent)
    except Lacking as lacking:
        return [Note(folder.name, f"left out: {lacking}")]
    except Exception as error:  # noqa: BLE001  whatever it is, the other sections go on
        traceback.print_exc()
        return [Note(folder.name, f"failed: {error!r}")]
    finally:
        shut_down()


def main(function: str, folder: str, extent: str, found: str, parent: str) -> None:
    """Be the section; ends itself and all below it when its parent does."""
    become_subreaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    tell_of_parents_death(int(parent), signal.SIGTERM)
    place = Path(folder)
    try:
        findings = _measure(function, place, Extent(extent))
        _write(Path(found), findings)
    finally:
        kill_descendants(os.getpid())


if __name__ == "__main__":
    main(*sys.argv[1:])
