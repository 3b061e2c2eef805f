"""Content-addressed files, for payloads too large for a row.

Workers write and read them, all of them in one directory. A blob's name is the
sha256 of its bytes, so writing it twice writes it once, and two workers that write
the same one at the same time are of one mind. It appears under its name whole or
not at all: written to a temporary file, synced, renamed. What is read is verified.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

from nerve.errors import SenseError
from nerve.store.faults import refused

MAX_BLOB_BYTES = 256 * 1024 * 1024
DIRECTORY_MODE = 0o700
UNFINISHED = ".unfinished-"
"""How the name of a file begins that is not whole yet."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """The blobs of one installation; implements `nerve.sense.Blobs`."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which must exist."""
        self._folder = folder

    def put(self, content: bytes) -> str:
        """Store bytes durably; return their sha256 as 64 lower-case hex digits.

        Raises SenseError over MAX_BLOB_BYTES; StateFull, StateReadOnly, StateForbidden or
        StateError where the file cannot be written.
        """
        if len(content) > MAX_BLOB_BYTES:
            raise SenseError(
                f"a blob of {len(content):,} bytes is over the limit of {MAX_BLOB_BYTES:,} bytes",
                kind="blob_too_large",
                hint="split it, or keep the file yourself and tell its path",
            )
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        try:
            if not _is_there(path, len(content)):
                self._write(path, content)
        except OSError as error:
            raise refused(error, path) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes for a digest.

        Raises SenseError if the blob is missing, damaged, or the digest is none;
        StateError where the file cannot be read.
        """
        # Before it becomes a path.
        if not _DIGEST.fullmatch(digest):
            raise SenseError(f"not a digest: {digest[:80]!r}", kind="blob_digest_invalid")
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BLOB_BYTES + 1)
        except FileNotFoundError as error:
            raise SenseError(f"there is no blob {digest}", kind="blob_missing") from error
        except OSError as error:
            raise refused(error, path) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise SenseError(
                f"the blob {digest} is damaged",
                kind="blob_damaged",
                hint=f"restore {path}, or delete it and have it written again",
            )
        return content

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest[2:]

    def _write(self, path: Path, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(prefix=UNFINISHED, dir=self._folder)
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            unfinished.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise
        _sync_directory(path.parent)
        _sync_directory(self._folder)


def _is_there(path: Path, size: int) -> bool:
    # A file of another size is a damaged one; writing it again mends it.
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_directory(directory: Path) -> None:
    # Without it a power loss may take the name, though not the bytes.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Delete what killed writers have left unfinished in a folder; return how many files.

    Only while nobody writes there: a file that is being written looks the same.
    """
    unfinished = list(folder.glob(f"{UNFINISHED}*"))
    for file in unfinished:
        file.unlink(missing_ok=True)
    return len(unfinished)
