"""The state directory itself, and the file system that it lies on."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nerve.cli.doctor.finding import Finding, LookedInVain, error, note, sound, warning
from nerve.cli.doctor.patient import Patient
from nerve.errors import StateError, StateFull
from nerve.store.faults import refusal_of, refused
from nerve.store.state_dir import DIRECTORY_HINT

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gfs2", "ocfs2"}
)
SHARED = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs"})
"""Folders of its host that a virtual machine or a container sees."""
IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
WITHOUT_MODES = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3"})
CARELESS_OPTIONS = frozenset({"nobarrier", "barrier=0"})
FLASH_CARDS = "/dev/mmcblk"
UNKNOWN = "config"
"""The step that says why nobody can tell which directory it is."""
LOCAL_HINT = "put state_dir on a local disk, e.g. ext4 or xfs"


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).

    Attributes:
        kind: the type, e.g. `ext4`, `fuse.sshfs`.
        options: of the mount and of the file system.
    """

    point: str
    kind: str
    source: str = ""
    options: frozenset[str] = frozenset()


def look_at_directory(patient: Patient) -> Iterator[Finding]:
    """Look whether it is there, is a directory, and can be read and written."""
    _require_known(patient)
    root = patient.state.root
    try:
        is_directory = stat.S_ISDIR(root.stat().st_mode)
        next(root.iterdir(), None) if is_directory else None
    except FileNotFoundError:
        yield _missing(root)
        raise LookedInVain from None
    except OSError as refusal:
        raise refused(refusal, root, hint=DIRECTORY_HINT) from refusal
    if not is_directory:
        hint = "state_dir must be a directory; name another, or move the file away"
        raise StateError(f"{root} is not a directory", path=root, hint=hint)
    yield from directory_findings(root, refusal_of(root))


def _require_known(patient: Patient) -> None:
    if patient.place is None:
        raise LookedInVain(UNKNOWN)


def _missing(root: Path) -> Finding:
    """Say that nothing has run yet, or why nothing will."""
    above = next((parent for parent in root.parents if parent.exists()), root)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return error(
            f"{root} is missing, and cannot be made in {above}",
            why="nerve does not start without it",
            hint="make it and give it to the user who runs nerve, or name another state_dir",
        )
    return sound(f"{root} is not there yet; the first start makes it")


def directory_findings(root: Path, refusal: OSError | None) -> Iterator[Finding]:
    """Say why a new file cannot be written in the directory, or that it can."""
    if refusal is None or refusal.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
        yield sound(str(root))
        return
    found = refused(refusal, root)
    why = "nerve does not start there, and one that runs records nothing new"
    if isinstance(found, StateFull):
        why = "nothing new is recorded, and nothing acknowledged, until there is space"
    yield error(str(found), why=why, hint=found.hint)


def look_at_file_system(patient: Patient) -> Iterator[Finding]:
    """Look what the state directory lies on, or would; one that hangs is not asked for it."""
    _require_known(patient)
    mounts = mounts_in(MOUNTS.read_text(errors="replace"))
    path = patient.state.root if patient.is_reached else patient.place
    yield from file_system_findings(str(path), mounts)


def mounts_in(text: str) -> list[Mount]:
    """Read /proc/self/mountinfo."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, more = before.split(" "), after.split(" ")
        options = frozenset(",".join([fields[5], *more[2:]]).split(","))
        found.append(Mount(_unescaped(fields[4]), more[0], _unescaped(more[1]), options))
    return found


def mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    """Return what an absolute path lies on: the longest mount point above it, the latest first."""
    above = [m for m in mounts if path == m.point or path.startswith(m.point.rstrip("/") + "/")]
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def file_system_findings(path: str, mounts: list[Mount]) -> Iterator[Finding]:
    """Say what is known to be wrong with the file system under a path."""
    mount = mount_of(path, mounts)
    if mount is None:
        yield sound("not known")
        return
    found = [*_kind_findings(mount, mounts), *_option_findings(mount)]
    yield from found
    if not found:
        yield sound(f"{mount.kind} at {mount.point}")


def _kind_findings(mount: Mount, mounts: list[Mount]) -> Iterator[Finding]:
    where = f"the state directory lies on {mount.kind} at {mount.point}"
    if mount.kind in NETWORK:
        yield error(
            f"{where}, a network file system",
            why="SQLite's WAL needs memory that processes share and locks that hold: databases "
            "can be damaged there",
            hint=LOCAL_HINT,
        )
    elif mount.kind in SHARED:
        yield warning(
            f"{where}, a folder of another machine or of the host",
            why="locks, shared memory and synced writes may not hold there",
            hint=f"{LOCAL_HINT}, or a volume of its own",
        )
    elif mount.kind.startswith("fuse"):
        yield warning(
            f"{where}",
            why="locks and synced writes are as good as the program behind it",
            hint=LOCAL_HINT,
        )
    elif mount.kind in IN_MEMORY or _is_laid_over_memory(mount, mounts):
        over = "" if mount.kind in IN_MEMORY else ", whose upper layer is in memory"
        yield warning(
            f"{where}{over}",
            why="everything is lost at a reboot, signals and log as well",
            hint=f"{LOCAL_HINT}, unless that is what you want",
        )
    elif mount.kind == "overlay":
        yield note(
            f"{where}, the layer of a container or of a live system",
            why="it may go with the container",
            hint="put state_dir on a volume",
        )
    elif mount.kind in WITHOUT_MODES:
        yield warning(
            f"{where}, which knows no owners and modes",
            why="everybody on this machine may read what nerve keeps",
            hint=LOCAL_HINT,
        )


def _option_findings(mount: Mount) -> Iterator[Finding]:
    if careless := mount.options & CARELESS_OPTIONS:
        yield warning(
            f"{mount.point} is mounted with {', '.join(sorted(careless))}",
            why="a power loss can damage files that were synced",
            hint="mount it without",
        )
    if mount.source.startswith(FLASH_CARDS):
        yield note(
            f"the state directory lies on {mount.source}, an SD card or an eMMC",
            why="each signal is synced to it: that is slow there, and wears it out",
            hint="have senses tell only what is worth telling; watch its health",
        )


def _is_laid_over_memory(mount: Mount, mounts: list[Mount]) -> bool:
    """Whether the upper layer of an overlay, where it can be seen from here, is in memory."""
    upper = next((o.partition("=")[2] for o in mount.options if o.startswith("upperdir=")), "")
    below = mount_of(upper, [m for m in mounts if m != mount]) if upper else None
    return mount.kind == "overlay" and below is not None and below.kind in IN_MEMORY


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
