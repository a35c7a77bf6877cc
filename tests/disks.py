"""Real disks that take nothing more: full, without room for another file, over quota, or read-only after an error."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Disk:
    """A mounted file system, not yet full. `said` is what people are told when it is."""

    said: str
    needs = "mount"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> None:
        raise NotImplementedError

    def fill(self) -> None:
        """Nothing more can be written."""
        raise NotImplementedError

    def spare(self, room: int) -> None:
        """Room for so many bytes, or files, on one that is full."""
        raise NotImplementedError

    def free(self) -> None:
        """There is room again."""
        for path in self.folder.glob("filler*"):
            path.unlink()


class Space(Disk):
    """A tmpfs of some MiB."""

    size = 8
    said = "(tmpfs) is full, with 0 B of 8 MiB left; free some, then the same command goes on"

    def mount(self) -> None:
        call("mount", "-t", "tmpfs", "-o", f"size={self.size}m", "tmpfs", self.folder)

    def fill(self) -> None:
        stuff(self.folder)

    def spare(self, room: int) -> None:
        largest = self.folder / "filler-1048576"
        os.truncate(largest, largest.stat().st_size - room)


class LargeSpace(Space):
    """For a sweep."""

    size = 40
    said = Space.said.replace("8 MiB", "40 MiB")


class Files(Disk):
    """A tmpfs that holds 60 files and folders."""

    said = "(tmpfs) can hold no more files: 60 are the most (df -i); delete some, then the same command goes on"

    def mount(self) -> None:
        call("mount", "-t", "tmpfs", "-o", "nr_inodes=60", "tmpfs", self.folder)

    def fill(self) -> None:
        with suppress(OSError):
            for n in range(60):
                (self.folder / f"filler-{n}").touch()

    def spare(self, room: int) -> None:
        for path in sorted(self.folder.glob("filler*"))[:room]:
            path.unlink()


class Quota(Disk):
    """A folder of a btrfs, the one of Linux's file systems whose quotas need nothing of the kernel's configuration."""

    said = "(btrfs) is used up, of space or of files (quota -s); free some, then the same command goes on"
    needs = "mkfs.btrfs"  # Debian's btrfs-progs

    def mount(self) -> None:
        top = _image(self.folder, "256M", "mkfs.btrfs", "-q")
        call("btrfs", "quota", "enable", top)
        call("btrfs", "subvolume", "create", top / "limited")
        call("btrfs", "qgroup", "limit", "16M", top / "limited")
        call("mount", "--bind", top / "limited", self.folder)

    def fill(self) -> None:
        stuff(self.folder)


class Broken(Disk):
    """An ext4 with an error, which the kernel makes read-only at once, whoever writes to it."""

    said = "(ext4) is read-only"
    needs = "mkfs.ext4"

    def mount(self) -> None:
        self.image = _image(self.folder, "40M", "mkfs.ext4", "-q")
        call("mount", "-o", "remount,errors=remount-ro", self.image)
        call("mount", "--bind", self.image, self.folder)

    def fill(self) -> None:
        device = os.path.basename(call("findmnt", "-n", "-o", "SOURCE", self.image).strip())
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def free(self) -> None:
        call("umount", self.folder)
        call("umount", self.image)
        call("mount", "-o", "loop", self.image.with_suffix(".img"), self.image)
        call("mount", "--bind", self.image, self.folder)


KINDS = (Space, Files, Quota, Broken)


@contextmanager
def mounted(kind: type[Disk], folder: Path) -> Iterator[Disk]:
    """A disk of this kind, at a folder that is made for it."""
    if os.geteuid() != 0 or not shutil.which(kind.needs, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        pytest.skip(f"needs root and {kind.needs}")
    folder.mkdir()
    disk = kind(folder)
    try:
        try:
            disk.mount()
        except subprocess.CalledProcessError as e:
            pytest.skip(f"no {kind.__name__} can be mounted here: {e.stderr.strip()}")
        yield disk
    finally:
        for place in (folder, _top(folder)):
            subprocess.run(["umount", "-l", place], capture_output=True)


def _top(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-whole")


def _image(folder: Path, size: str, *make: str) -> Path:
    """A file system in a file, mounted beside the folder."""
    top = _top(folder)
    top.mkdir()
    image = top.with_suffix(".img")
    call("truncate", "-s", size, image)
    call(*make, image)
    call("mount", "-o", "loop", image, top)
    return top


def call(*command: object) -> str:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout


def stuff(folder: Path) -> None:
    """Fill a folder's file system to the last byte."""
    for size in (1 << 20, 1 << 16, 1 << 12, 1 << 9, 1):
        with suppress(OSError), (folder / f"filler-{size}").open("wb", buffering=0) as file:
            while file.write(bytes(size)) == size:
                os.fsync(file.fileno())


def leftovers(folder: Path) -> list[Path]:
    """What is meant to be there for moments only."""
    return [path for name in ("*.tmp", ".probe-*", ".claim-*", "beat") for path in folder.rglob(name)]
