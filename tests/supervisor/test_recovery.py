import os
import subprocess
from types import SimpleNamespace

import pytest

from nerve.process import cgroup
from nerve.process.kernel import machine_boot, start_ticks
from nerve.process.remains import Found
from nerve.process.slate import Owner
from nerve.store.state_dir import StateDir
from nerve.supervisor.recovery import end_orphans


@pytest.fixture
def sleeping():
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait(30)


def test_a_later_start_on_a_copy_leaves_the_nerve_that_it_was_copied_from_alone(
    tmp_path, monkeypatch, sleeping
):
    """RUN-10: the first one has noted that run's end, and the journal and slates still name it."""
    state, logged = StateDir(tmp_path), []
    state.journal_path.touch()  # which its parent, this process, has not open
    worker = tmp_path / cgroup.directory_name("theirs", "web", 1)
    worker.mkdir()
    (worker / "cgroup.procs").write_text(f"{sleeping.pid}\n")
    monkeypatch.setattr(cgroup, "delegated", lambda: tmp_path)
    journal = SimpleNamespace(parents=lambda: {"theirs": os.getpid(), "ours": os.getpid()})
    ledger = SimpleNamespace(boot="ours", log=lambda _source, type_, *_: logged.append(type_))
    owner = Owner(sleeping.pid, start_ticks(sleeping.pid), machine_boot(), 1, "theirs")
    for slates in ([Found("web", owner, None)], []):
        assert end_orphans(state, slates, [], journal, ledger) == 0
        assert sleeping.poll() is None
        assert not (worker / "cgroup.kill").exists()
    assert logged == ["recovery.copied"]
