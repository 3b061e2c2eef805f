"""What is built works outside the checkout, batteries and migrations included."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel, unpacked, on a path where the checkout is not."""
    target = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def run(installed, folder, *arguments):
    script = "import sys; sys.path = [p for p in sys.path if p != sys.argv[1]]; from nerve.cli import main; sys.argv[:2] = ['nerve']; main()"
    return subprocess.run(
        [sys.executable, "-c", script, str(ROOT), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_wheel_runs_in_an_empty_folder_with_its_batteries(installed, tmp_path):
    written = run(installed, tmp_path, "init")
    assert written.returncode == 0, written.stderr
    checked = run(installed, tmp_path, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran = run(installed, tmp_path, "run", "--once", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    described = run(installed, tmp_path, "describe", "cpu-usage", "--json")
    assert str(installed) in described.stdout
    assert (tmp_path / "data" / "senses" / "cpu-usage.db").exists()


def test_the_wheel_has_everything_a_run_needs(installed):
    for path in (
        "nerve/py.typed",
        "nerve/store/schema/sense/0001_outbox.py",
        "nerve/store/schema/script.py.mako",
        "nerve/batteries/pressure/migrations/0001_levels.py",
        "nerve/batteries/disk/README.md",
    ):
        assert (installed / path).is_file(), path
    assert not list(installed.rglob("test_*.py"))
    assert not (installed / "senses").exists()


def test_the_source_distribution_has_what_the_tests_need(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {
        "Makefile",
        "requirements.lock",
        "nerve.yaml",
        "alembic/env.py",
        "docs/reliability.md",
        "senses/disk/__init__.py",
        "tests/test_package.py",
    } <= names


def test_the_lock_file_names_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    assert "--hash=sha256:" in lock
