"""Trials set aside, so that the same command trains them anew: `<out>/.aside/<id>/seed-K-N`. Nothing is deleted."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import attempt

ASIDE = ".aside"  # in a folder of runs


def put(folder: Path, lease: float) -> Path:
    """Set a seed's folder aside; where it is now.

    Raises:
        AblationError: the trial is being trained.
    """
    newest = attempt.folder(folder, attempt.latest(folder))
    if attempt.live(newest, lease, watch=True):
        raise AblationError(f"{folder}: is being trained by {attempt.owner(newest)}; stop that first")
    store = folder.parents[1] / ASIDE / folder.parent.name
    store.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        there = store / f"{folder.name}-{number}"
        if not there.exists():
            return folder.rename(there)
    raise AssertionError  # count() has no end


def withdrawn(out: Path, id_: str, seed: int) -> bool:
    """Whether a trial was set aside and not begun anew: a tracker may still have it."""
    return any((out / ASIDE / id_).glob(f"seed-{seed}-*")) and not (out / id_ / f"seed-{seed}").exists()
