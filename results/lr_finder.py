"""The range test of a run folder: its curve from the traces of its seeds, what is read from it, and the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.store.atomic import write_atomic
from ablation.trial import trace
from results.stats.range_test import Reading, read

PICTURE = "lr.png"  # in the run folder
_RATE, _LOSS = "lr", "loss"


class NoRangeTest(AblationError):
    """The run is none, or kept no trace."""


@dataclass(frozen=True)
class Shown:
    """A range test that was read."""

    name: str
    seeds: list[int]  # whose losses are averaged
    reading: Reading
    picture: Path

    def lines(self) -> Iterator[str]:
        """For a person."""
        found = self.reading
        if found.suggestion is None:
            yield f"no learning rate is suggested: {found.trouble}"
        else:
            yield f"suggested learning rate: optim.lr={found.suggestion:g}, a tenth of the one with the lowest loss"
            yield f"the smoothed loss falls fastest at {found.steepest:.2g} and is lowest at {found.lowest:.2g}"
        if found.remark:
            yield f"note: {found.remark}"
        yield f"picture: {self.picture}"

    def facts(self) -> dict[str, Any]:
        """For a program."""
        found = self.reading
        read_ = {key: getattr(found, key) for key in ("suggestion", "steepest", "lowest", "trouble", "remark")}
        losses = [None if loss != loss else loss for loss in found.losses.tolist()]
        curve = {"rates": found.rates.tolist(), "losses": losses, "smooth": found.smooth.tolist()}
        return {"seeds": self.seeds, **read_, "picture": str(self.picture), **curve}


def show(folder: Path, seeds: Sequence[int], name: str, to: Path | None = None) -> Shown:
    """Read the range test of these seeds, the mean of their losses, and draw it.

    Raises:
        NoRangeTest: a run that kept no trace, or whose learning rate does not rise throughout.
    """
    curves = {seed: trace.read(folder / f"seed-{seed}") for seed in seeds}
    curves = {seed: curve for seed, curve in curves.items() if curve}
    if not curves:
        raise NoRangeTest(f"{folder}: kept no trace of its steps; run it again, into another folder, with trace=true")
    steps = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    first = next(iter(curves.values()))
    rates = [first[step].get(_RATE) for step in steps]
    if len(rates) < 2 or any(a is None or b is None or a >= b for a, b in pairwise(rates)):
        raise NoRangeTest(
            f"{folder}: is no range test, since its learning rate does not rise from step to step; use sched=range"
        )
    losses = [_mean([curve[step][_LOSS] for curve in curves.values()]) for step in steps]
    found = read([rate for rate in rates if rate is not None], losses)
    path = to or folder / PICTURE
    write_atomic(path, _drawn(found, f"Learning rate range test: {name}"))
    return Shown(name, sorted(curves), found, path)


def _drawn(found: Reading, title: str) -> bytes:
    from results.plots import range_test  # and with it matplotlib, which takes a while
    from results.plots.save import render

    return render(range_test.range_test(found, title), "png")


def _mean(losses: Sequence[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if len(known) == len(losses) else None
