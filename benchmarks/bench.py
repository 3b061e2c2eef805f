"""All that is measured beside a floor, section by section.

    .venv/bin/python -m benchmarks.bench [--quick] [--only SECTION] [--json] [--save]

A section is a function, as `figures.Section` has it. Each runs in a process of its own, one after
the other, so that none finds what another has imported, started or left behind; one that fails,
lacks something or does not end says so by its name, and the others go on. Nothing here judges:
README.md says what may be compared.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Extent, report
from benchmarks.machine import describe_machine
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


def main() -> None:
    """Measure, print, and save if told to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer blocks, for a first look")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    extent = Extent.QUICK if arguments.quick else Extent.THOROUGH
    names = [arguments.only] if arguments.only else list(SECTIONS)
    become_subreaper()
    # Here and not in /tmp, which may lie on another disk, or on none.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = describe_machine(Path(name))
        findings = []
        for section in names:
            print(f"{section} ...", file=sys.stderr)
            findings += run_section(section, SECTIONS[section], Path(name), extent)
    print(report(machine, findings, as_json=arguments.json))


if __name__ == "__main__":
    main()
