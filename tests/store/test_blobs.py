import hashlib
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerve.errors import SenseError, StateError
from nerve.store import blobs
from nerve.store.blobs import BlobStore, sweep


@pytest.fixture
def folder(state):
    return state.blobs


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(content=st.binary(max_size=5000))
def test_what_is_put_can_be_got_by_its_sha256(folder, content):
    """DB-9"""
    digest = BlobStore(folder).put(content)
    assert digest == hashlib.sha256(content).hexdigest()
    assert (folder / digest[:2] / digest[2:]).read_bytes() == content
    assert BlobStore(folder).get(digest) == content


def test_the_same_content_is_written_once(folder):
    """DB-9"""
    store = BlobStore(folder)
    digest = store.put(b"same")
    path = folder / digest[:2] / digest[2:]
    written = path.stat()
    assert store.put(b"same") == digest
    assert path.stat() == written
    assert files(folder) == [path]
    assert written.st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damaged", [b"sama", b"sa", b"same and more"])
def test_a_damaged_blob_is_not_given_out(folder, damaged):
    """DB-9"""
    store = BlobStore(folder)
    digest = store.put(b"same")
    (folder / digest[:2] / digest[2:]).write_bytes(damaged)
    with pytest.raises(SenseError) as refused:
        store.get(digest)
    assert refused.value.kind == "blob_damaged"


def test_a_blob_that_was_cut_short_is_mended_by_putting_it_again(folder):
    """DB-9"""
    store = BlobStore(folder)
    digest = store.put(b"same")
    (folder / digest[:2] / digest[2:]).write_bytes(b"sa")
    store.put(b"same")
    assert store.get(digest) == b"same"


def test_a_missing_blob_and_a_bad_digest_are_told_apart(folder, tmp_path):
    store = BlobStore(folder)
    with pytest.raises(SenseError) as missing:
        store.get("0" * 64)
    assert missing.value.kind == "blob_missing"
    for bad in ("", "../../lock", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(SenseError) as refused:
            store.get(bad)
        assert refused.value.kind == "blob_digest_invalid"


def test_a_blob_over_the_limit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(blobs, "MAX_BLOB_BYTES", 10)
    with pytest.raises(SenseError) as refused:
        BlobStore(folder).put(b"x" * 11)
    assert refused.value.kind == "blob_too_large"
    assert files(folder) == []


def test_a_write_that_fails_is_seen_and_leaves_nothing(folder, monkeypatch):
    """LOG-6"""

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StateError, match="No space left"):
        BlobStore(folder).put(b"content")
    assert files(folder) == []


def test_writers_of_the_same_blob_do_not_disturb_each_other(folder):
    """DB-9"""
    content = os.urandom(100_000)
    writers = [threading.Thread(target=BlobStore(folder).put, args=(content,)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(files(folder)) == 1


def test_a_writer_that_was_killed_leaves_nothing_under_a_digest(folder, elsewhere):
    """DB-9"""
    code = """
        import os, signal, sys
        from pathlib import Path
        from nerve.store.blobs import BlobStore, sweep
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        BlobStore(Path(sys.argv[1])).put(b"content")
    """
    assert elsewhere(code, folder).wait() == -9
    assert len(files(folder)) == 1
    store = BlobStore(folder)
    with pytest.raises(SenseError):
        store.get(hashlib.sha256(b"content").hexdigest())
    assert sweep(store._folder) == 1
    assert files(folder) == []
