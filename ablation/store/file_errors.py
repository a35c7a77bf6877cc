"""What a file system refuses, in words: which path, why, whose it is or how full its disk is, and the way out.

Python says "[Errno 28] No space left on device", often without a path. Who writes names the path (`naming`); who tells
a person, be it a command, a journal or a job's log, asks `in_words`.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_OF_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE}
# What torch.save and SQLite say of a disk, and who quotes the system, in exceptions of their own.
_QUOTED = (
    "PytorchStreamWriter failed writing", ". unexpected pos ", "database or disk is full", "disk I/O error",
    os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), os.strerror(errno.EROFS),
)  # fmt: skip
_SCARCE = 1 << 20  # bytes; a disk with more left was full for a moment, or of something that it does not tell
_AGAIN = "then the same command goes on, or `ablation retry` for a sweep"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What a file system refuses in here is said of this path: one that people know, and no scratch file beside it."""
    try:
        yield
    except OSError as e:
        e.filename = str(path)
        if e.filename2 is not None:
            e.filename2 = str(path)
        e.add_note(in_words(e))  # now, before what is cleaned up makes room
        raise


def of_disk(e: BaseException) -> bool:
    """Whether a disk is to blame and not the code, of which a traceback would then tell nothing."""
    return (isinstance(e, OSError) and e.errno in _OF_DISK) or any(text in str(e) for text in _QUOTED)


def in_words(e: BaseException) -> str:
    """What an error says, in one sentence if it is a file system's; its message if it is any other."""
    name = (e.filename2 or e.filename) if isinstance(e, OSError) else None  # renamed: as people know it
    noted: list[str] = getattr(e, "__notes__", [])
    if isinstance(e, OSError) and noted and noted[-1].startswith(str(name)):
        return noted[-1]
    if isinstance(e, OSError) and e.errno in _WORDS and isinstance(name, str | bytes):
        path = Path(os.fsdecode(name))
        return f"{path}: {_WORDS[e.errno](path.absolute())}"
    return str(e)


def unwritable(path: Path, whole: Path) -> str:
    """Why nothing can be written in a file or folder that is there, and who can change that; empty if it can.

    `whole` is the folder that it is a part of, for which the way out is told.
    """
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return _read_only(path)
    wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    return "" if os.access(path, wanted) else _refused(path.absolute(), whole)


def _refused(path: Path, whole: Path | None = None) -> str:
    barrier = _barrier(path)
    whole = whole or barrier
    try:
        about = barrier.stat()
    except OSError:
        return "access is refused"
    mode, me = stat.filemode(about.st_mode), os.geteuid()
    owner, group = _name(pwd.getpwuid, about.st_uid, "user"), _name(grp.getgrgid, about.st_gid, "group")
    if about.st_uid == me:
        return f"access is refused: {barrier} is yours, but its mode is {mode}; chmod -R u+rwX {whole}"
    return (
        f"access is refused to {_name(pwd.getpwuid, me, 'user')}: {barrier} belongs to {owner} ({group}, mode {mode}); "
        f"{owner} can open it to a group that you share (chgrp -R GROUP and chmod -R g+rwX {whole}, and umask 002 "
        "for what is still to be written), or give another folder with out="
    )


class _Disk(NamedTuple):
    """A mounted file system."""

    name: str  # mount point and kind
    free: int  # bytes, for this user
    size: int
    files: int  # that can still be made; of a kind that sets no limit, as many as there may be in all: 0
    most_files: int


def _disk(path: Path) -> _Disk:
    """The file system of a path, which itself need not be there."""
    place = next((p for p in (path, *path.parents) if os.path.lexists(p)), Path("/"))
    about = os.statvfs(place)
    mount = next(p for p in (place.resolve(), *place.resolve().parents) if os.path.ismount(p))
    block = about.f_frsize
    return _Disk(
        f"{mount}{_kind(mount)}", about.f_bavail * block, about.f_blocks * block, about.f_favail, about.f_files
    )


def _kind(mount: Path) -> str:
    """` (nfs4)`; nothing where it is not known."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    return next((f" ({kind})" for _, at, kind, *_ in reversed(mounts) if at == str(mount).replace(" ", r"\040")), "")


def _full(path: Path) -> str:
    disk = _disk(path)
    if disk.most_files and not disk.files:
        return f"{disk.name} can hold no more files: {disk.most_files} are the most (df -i); delete some, {_AGAIN}"
    now = f"{_size(disk.free)} of {_size(disk.size)} left"
    if disk.free > _SCARCE:  # some kinds tell so of a folder's quota
        return f"{disk.name} was full, or a quota on this folder is used up; it has {now} now; free some, {_AGAIN}"
    return f"{disk.name} is full, with {now}; free some, {_AGAIN}"


def _over_quota(path: Path) -> str:
    return f"your quota on {_disk(path).name} is used up, of space or of files (quota -s); free some, {_AGAIN}"


def _too_large(_: Path) -> str:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    most = "" if limit == resource.RLIM_INFINITY else f" (ulimit -f: {_size(limit)})"
    return f"the file is larger than a file may be here{most}; raise that, {_AGAIN}"


def _read_only(path: Path) -> str:
    return (
        f"{_disk(path).name} is read-only (the kernel makes it so by itself where a disk has errors); have it "
        f"mounted for writing, {_AGAIN}; or give another folder with out="
    )


def _broken(path: Path) -> str:
    return f"{_disk(path).name} fails to read or write (input/output error); see to it, {_AGAIN}"


def _stale(path: Path) -> str:
    return f"the file server no longer knows this file (stale handle), which was deleted or moved elsewhere; {_AGAIN}"


def _too_long(path: Path) -> str:
    longest = max(len(os.fsencode(part)) for part in path.parts)
    return f"the name is too long ({longest} bytes in one part, {len(os.fsencode(path))} in all); give a shorter one"


def _too_many_open(_: Path) -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"too many files are open at once ({limit} are allowed); raise that by ulimit -n"


_WORDS: dict[int, Callable[[Path], str]] = {
    errno.ENOSPC: _full,
    errno.EDQUOT: _over_quota,
    errno.EFBIG: _too_large,
    errno.EROFS: _read_only,
    errno.EIO: _broken,
    errno.ESTALE: _stale,
    errno.EACCES: _refused,
    errno.EPERM: _refused,
    errno.ENAMETOOLONG: _too_long,
    errno.EMFILE: _too_many_open,
}


def _barrier(path: Path) -> Path:
    """What keeps this process out: the first folder that it may not search, else the file, else the file's folder."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return folder
    there = os.path.lexists(path)
    closed = there and not (os.access(path, os.R_OK) and os.access(path, os.W_OK))
    return path if closed or not path.parent.exists() else path.parent


def _name(look: Callable[[int], tuple[object, ...]], number: int, what: str) -> str:
    """`user ann`; the number where there is no name."""
    try:
        return f"{what} {look(number)[0]}"
    except KeyError:
        return f"{what} {number}"


def _size(number: float) -> str:
    for unit in _UNITS[:-1]:
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.0f} {_UNITS[-1]}"
