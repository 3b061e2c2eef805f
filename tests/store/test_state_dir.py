import os
import signal

import pytest

from nerve.errors import AlreadyRunning, Exit, StateError
from nerve.store.state_dir import StateDir

HOLD = """
    import sys
    from pathlib import Path
    from nerve.store.state_dir import StateDir
    StateDir(Path(sys.argv[1])).lock()
    print("held", flush=True)
    sys.stdin.read()
"""


def held_elsewhere(elsewhere, state):
    holder = elsewhere(HOLD, state.root)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_directories_are_for_their_owner_alone(state):
    for directory in (state.root, state.senses, state.blobs, state.archive):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_exists_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o750)
    StateDir(tmp_path).create()
    assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_a_state_directory_that_is_a_file_is_refused_and_kept(tmp_path):
    file = tmp_path / "data"
    file.write_text("mine")
    with pytest.raises(StateError) as refused:
        StateDir(file).create()
    assert refused.value.exit_code == Exit.CANNOT_CREATE
    assert refused.value.hint
    assert file.read_text() == "mine"


def test_a_directory_of_someone_else_is_forbidden(tmp_path, without_privileges):
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(0o500)
    assert without_privileges("StateDir(path).create()", root) == "StateForbidden"
    assert without_privileges("StateDir(path).lock()", root) == "StateForbidden"


def test_a_second_parent_is_told_who_holds_the_directory(state, elsewhere):
    """BOOT-1"""
    holder = held_elsewhere(elsewhere, state)
    with pytest.raises(AlreadyRunning) as refused:
        state.lock()
    assert refused.value.pid == holder.pid
    assert str(holder.pid) in str(refused.value)
    assert refused.value.exit_code == 75


def test_the_lock_ends_with_its_holder_even_by_sigkill(state, elsewhere):
    """BOOT-1"""
    holder = held_elsewhere(elsewhere, state)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert state.holder() is None
    os.close(state.lock())


def test_a_child_started_by_exec_does_not_keep_the_lock(state, elsewhere):
    """BOOT-1"""
    lock = state.lock()
    child = elsewhere("import sys; print('up', flush=True); sys.stdin.read()")
    child.stdout.readline()
    os.close(lock)
    os.close(state.lock())


def test_the_holder_is_known_to_readers(state, elsewhere):
    assert state.holder() is None
    holder = held_elsewhere(elsewhere, state)
    assert state.holder() == holder.pid


def test_there_is_no_holder_where_there_is_no_directory(tmp_path):
    assert StateDir(tmp_path / "none").holder() is None
    (tmp_path / "file").touch()
    assert StateDir(tmp_path / "file").holder() is None


def test_asking_for_the_holder_does_not_refuse_a_start(state, elsewhere):
    """BOOT-1"""
    code = """
        import sys
        from pathlib import Path
        from nerve.store.state_dir import StateDir
        state = StateDir(Path(sys.argv[1]))
        print("asking", flush=True)
        while True:
            state.holder()
    """
    os.close(state.lock())
    elsewhere(code, state.root).stdout.readline()
    for _ in range(200):
        os.close(state.lock())
