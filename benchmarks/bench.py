"""All that is measured beside a floor, section by section.

    .venv/bin/python -m benchmarks.bench [--extent quick] [--only SECTION] [--json] [--save]

A section is a function, as `figures.Section` has it. Each runs in a process of its own, one after
the other, so that none finds what another has imported, started or left behind; one that fails,
lacks something or does not end says so by its name, and the others go on. Nothing here judges:
README.md says what may be compared.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Extent, Finding
from benchmarks.machine import describe_machine, load, short_name
from benchmarks.placement import VARIABLE, Placement
from benchmarks.report import as_json, as_markdown, as_text
from benchmarks.section_process import run_section
from nerve.process.kernel import become_subreaper

SECTIONS: Mapping[str, str] = {
    "dispatch": "benchmarks.dispatch:measure",
    "recovery": "benchmarks.recovery:measure",
    "start": "benchmarks.starts:measure",
    "memory": "benchmarks.memory:measure",
    "schedule": "benchmarks.schedule:measure",
    "at rest": "benchmarks.rest:measure",
    "growth": "benchmarks.growth:measure",
}
"""Name to the function, as text: who measures one has imported no other."""
EXTENT_HELP = "thorough, quick, or least, which only shows that all works"
PIN_HELP = "one worker and its caller: apart, together on one processor, or free"
INTERRUPTED = 130
"""The exit code after Ctrl-C, as of a shell."""


RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Measure, print, and save if told to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--extent", type=Extent, default=Extent.THOROUGH, help=EXTENT_HELP)
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--pin", type=Placement, help=PIN_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--save", action="store_true", help=f"keep both in {RESULTS.name}/")
    arguments = parser.parse_args()
    if arguments.pin:
        os.environ[VARIABLE] = arguments.pin
    names = [arguments.only] if arguments.only else list(SECTIONS)
    # So that nothing is left running; and Ctrl-C is ignored in a shell's background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        machine, findings = measure(names, arguments.extent)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    print(as_json(machine, findings) if arguments.json else as_text(machine, findings))
    if arguments.save:
        save(machine, findings)


def measure(names: Sequence[str], extent: Extent) -> tuple[dict[str, str], list[Finding]]:
    """Run some sections; gives what there is to know of the machine, and what they found."""
    become_subreaper()
    # Here and not in /tmp, which may lie on another disk, or on none.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        findings: list[Finding] = []
        for section in names:
            print(f"{section} ...", end=" ", file=sys.stderr, flush=True)
            began = time.monotonic()
            findings += run_section(section, SECTIONS[section], Path(name), extent)
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return {**machine, "load at the end": load()}, findings


def save(machine: Mapping[str, object], findings: Sequence[Finding]) -> None:
    """Keep a run; another one of the same day takes its place."""
    RESULTS.mkdir(exist_ok=True)
    day = datetime.now(UTC).date().isoformat()
    stem = RESULTS / f"{day}-{short_name()}"
    machine = {"day": day, **machine}
    stem.with_suffix(".json").write_text(as_json(machine, findings) + "\n")
    stem.with_suffix(".md").write_text(f"# {stem.name}\n\n{as_markdown(machine, findings)}")
    print(f"\nkept in {stem}.json and .md", file=sys.stderr)


if __name__ == "__main__":
    main()
