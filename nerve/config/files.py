"""Reading the small files that a configuration consists of.

The parent. Only regular files are read, and only up to a limit: a named pipe would
hold the start for ever, and /dev/zero would fill the memory.
"""

import os
import stat
from pathlib import Path

_NAME_A_FILE = "see whether this is the file you mean"


class FileUnfit(ValueError):
    """A file cannot be read as configuration; the text says why, without its path.

    Attributes:
        hint: what to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FileMissing(FileUnfit):
    """There is no such file; whoever asked for it knows where one comes from."""


def read_small_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file; raises FileUnfit, with a sentence for the operator."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileUnfit("is not a regular file", _NAME_A_FILE)
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise _unreadable(error) from error
    except ValueError as error:
        # open() refuses a NUL character with a bare ValueError.
        unfit = error if isinstance(error, FileUnfit) else FileUnfit("is no path", _NAME_A_FILE)
        raise unfit from None
    if len(content) > max_bytes:
        raise FileUnfit(f"is over the limit of {max_bytes:,} bytes", _NAME_A_FILE)
    return content


def _unreadable(error: OSError) -> FileUnfit:
    reason = f"cannot be read: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return FileMissing(reason)
    if isinstance(error, PermissionError):
        return FileUnfit(reason, "look at the owner and mode of the file and of its directory")
    return FileUnfit(reason, _NAME_A_FILE if isinstance(error, IsADirectoryError) else "")


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe would otherwise wait for somebody to write into it.
    return os.open(path, flags | os.O_NONBLOCK)
