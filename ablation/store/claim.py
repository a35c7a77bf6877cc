"""Taking a seed to train it: exactly one process at a time gets it."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from ablation.errors import AblationError, Cancelled
from ablation.store.attempt import BEAT, CANCEL, OWNER, Attempt, Busy, Owner, folder, latest, live, numbers, owner
from ablation.store.file_errors import naming
from ablation.store.result import finished

_SCRATCH = ".claim-"
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}  # ENOENT: whoever won has cleaned up


class Finished(AblationError):
    """There is a result already."""


@contextmanager
def claim(seed_folder: Path, lease: float, supersede: Collection[str] = ()) -> Iterator[Attempt]:
    """Hold a new attempt at this seed.

    Whoever has shown no life for `lease` seconds, or its own lease if that is longer, is replaced, after a last look
    that takes a quarter of that; at once where its process is known to be gone. So are the SLURM jobs in `supersede`,
    and earlier incarnations of this process's own job, whatever they do.

    Raises:
        Busy: another process trains it.
        Finished: there is a result.
        Cancelled: nobody shall.
    """
    seed_folder.mkdir(parents=True, exist_ok=True)
    attempt = Attempt(seed_folder, _take(seed_folder, lease, supersede), lease)
    _clear_up(seed_folder, attempt.number)
    try:
        yield attempt
    finally:
        attempt.release()


def _take(seed_folder: Path, lease: float, supersede: Collection[str]) -> int:
    me, number = Owner.here(lease), latest(seed_folder)
    while True:
        refuse_if_held(folder(seed_folder, number), lease, me, supersede, watch=True)
        if finished(seed_folder) is not None:  # looked at after its owner was seen to have ended
            raise Finished(f"{seed_folder}: has a result")
        if (seed_folder / CANCEL).exists():
            raise Cancelled(f"{seed_folder}: is cancelled; submit it again, or delete {seed_folder / CANCEL}")
        number += 1
        if _make(seed_folder, number, me):
            return number


def _clear_up(seed_folder: Path, number: int) -> None:
    """Remove what attempts before this one were killed over: heartbeats, and files that were half written."""
    for earlier in numbers(seed_folder):
        if earlier < number:
            for left in (path for name in (BEAT, "*.tmp") for path in folder(seed_folder, earlier).glob(name)):
                with suppress(OSError):  # of an orphan that still runs, or another user's
                    left.unlink()


def refuse_if_held(newest: Path, lease: float, me: Owner, supersede: Collection[str], watch: bool = False) -> None:
    """Look whether the newest attempt leaves room for another; `watch` as in `attempt.live`.

    Raises:
        Busy: it does not.
    """
    holder = owner(newest)
    if holder is not None and (holder.job in supersede or me.replaces(holder)):
        return
    if live(newest, lease, watch=watch):
        raise Busy(f"{newest.parent}: another process is training it, {holder}; wait for it or stop it", holder)


def _make(seed_folder: Path, number: int, me: Owner) -> bool:
    """Make this attempt's folder, with its owner in it from the first moment; False if another process was faster."""
    scratch, target = seed_folder / f"{_SCRATCH}{number}-{uuid4().hex}", folder(seed_folder, number)
    try:
        with naming(target):
            scratch.mkdir()
            (scratch / OWNER).write_text(json.dumps(asdict(me)))
            (scratch / BEAT).touch()
            scratch.rename(target)  # fails if there is one
    except OSError as e:
        shutil.rmtree(scratch, ignore_errors=True)
        if e.errno not in _TAKEN or not target.exists():
            raise
    for old in seed_folder.glob(f"{_SCRATCH}*"):  # of claims that were killed; none of a number that exists can succeed
        if int(old.name.split("-")[1]) <= number:
            shutil.rmtree(old, ignore_errors=True)
    return owner(target) == me  # asked, since a network file system may report a rename that it has done as failed
