"""The verdict of a line: whether it may be compared with its baseline, and whether it is better, worse or undecided."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ablation.trial.teacher import draws
from results.stats import power
from results.stats.compare import Comparison, compare
from results.tables.definition import Line
from results.tables.metrics import Metric
from results.tables.trials import WORDS, Trials

CONTROL = "control"  # flag of an A/A line, which differs from its baseline in name or in rounding only
_OTHER_DRAWS = "not paired, because the random numbers of a student are derived from its teacher too"
# Differences that a verdict needs. The t test is exact for two as well if they are normal, which two cannot show. Where
# they are +1 or -1 with a little noise, since a training finds its way or does not, it claims an effect that is none in
# 49 % of cases with two, 25 % with three, 12 % with four. An effect of three standard deviations it finds in 26 % with
# two, in 74 % with three; and of what it claims of half a standard deviation 14 % and 6 % have the wrong sign (400,000
# simulated tests each; a test has fewer).
LEAST = 3
_SPENT = ("epochs", "batch_size", "train", "val", "precision")  # the budget, without the test images
_KEYS = {"train": r"data(\.\w+)?", "val": r"data(\.\w+)?"}  # overrides that say so, where not named alike
# Keys by which other training images, or others of the same test images, are taken: the fingerprint is of both. It
# does not know of crops and norms, and another path has to hold the same images.
_PIXELS = {"data.subset", "data.test_subset", "data.val", "data.split_seed", "data.size"}


class Kind(StrEnum):
    """What can be said of a line."""

    BASELINE = "baseline"  # others are compared with it
    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    IDENTICAL = "identical"
    TIE = "tie"  # a control that does not differ, as it should not
    DIFFERS = "differs"  # a control that does
    ONE = "one"  # pair, or seed, of which nothing is known
    FEW = "few"  # fewer than LEAST differences
    COUNTED = "counted"  # a number without noise, of which no test is made
    APART = "apart"  # compared with nothing
    SAME = "same"  # runs as another line
    OTHER = "other"  # images, budget or machine than the baseline's
    MIXED = "mixed"  # its own seeds differ in them
    NOTHING = "nothing"  # has been measured of it, or of its baseline
    LACKING = "lacking"  # cannot be run yet


CONTROLS = (Kind.TIE, Kind.DIFFERS)


@dataclass(frozen=True)
class Verdict:
    """What can be said of a line, for programs and in words."""

    kind: Kind
    brief: str = ""  # in a table's cell
    reason: str = ""  # in a footnote

    @property
    def words(self) -> str:
        """All of it."""
        return f"{self.brief}: {self.reason}" if self.reason else self.brief


_IDENTICAL = Verdict(Kind.IDENTICAL, "identical")
_SAME_TRAINING = replace(
    _IDENTICAL, reason="every seed trained exactly as in the baseline, so that what sets this row apart changes nothing"
)


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    line: Line
    trials: Trials


@dataclass(frozen=True)
class Pairing:
    """How a line stands to its baseline."""

    comparison: Comparison | None = None
    verdict: Verdict | None = None  # None: its p value decides, once it is adjusted
    marks: tuple[str, ...] = ()
    overlap: str = ""  # the mark of a line whose pairs are fewer than its seeds or its baseline's

    @property
    def tested(self) -> bool:
        """Whether its p value decides."""
        return self.comparison is not None and self.verdict is None


def pair(arm: Side, base: Side | None, same_as: str | None, is_base: bool, metric: Metric) -> Pairing:
    """A line and the one that it is compared with; None: with none. `is_base`: others are compared with this line."""
    alone = _alone(arm, base, same_as, is_base)
    if alone or base is None:
        return Pairing(verdict=alone)
    trials = arm.trials
    spent = _spent(trials, base.trials)
    refused = _refused(arm, base, spent, metric)
    if refused:
        return Pairing(verdict=refused)
    alike = draws(arm.line.config) == draws(base.line.config)
    found = compare(trials.values, base.trials.values, alike)
    assert found is not None
    if found.identical:  # accuracies of few images are equal by chance
        found = replace(found, identical=_one_training(trials, base.trials))
    marks = [f"other budget: {', '.join(spent.values())}"] if spent else []
    overlap = ""
    if not alike:
        marks.append(_OTHER_DRAWS)
    elif not trials.values.keys() & base.trials.values.keys():
        marks.append("not paired: no seed is finished on both sides")
    elif overlap := _overlap(trials.values, base.trials.values):
        marks.append(overlap)
    if metric.counted:
        nan = math.nan
        found = replace(found, low=nan, high=nan, boot_low=nan, boot_high=nan, p=nan, p_exact=nan)
        return Pairing(found, _IDENTICAL if found.identical else Verdict(Kind.COUNTED), tuple(marks), overlap)
    return Pairing(found, _settled(found, arm.line), tuple(marks), overlap)


def _alone(arm: Side, base: Side | None, same_as: str | None, is_base: bool) -> Verdict | None:
    """What is said of a line that is not compared; None of one that may be."""
    trials = arm.trials
    if arm.line.id is None:
        return Verdict(Kind.LACKING, "cannot be run yet", arm.line.lacks)
    if same_as is not None:
        return Verdict(Kind.SAME, f"same runs as {same_as}")
    if trials.mixed:
        return Verdict(Kind.MIXED, trials.mixed.what, trials.mixed.how)
    if not trials.values:
        return Verdict(Kind.NOTHING, trials.empty)
    if base is None:
        return Verdict(Kind.BASELINE, "baseline") if is_base else Verdict(Kind.APART, "not compared")
    if base.trials.mixed or not base.trials.values:
        why = "no mean" if base.trials.mixed else base.trials.empty
        return Verdict(Kind.NOTHING, f"{why} of {base.line.label}")
    return None


def _refused(arm: Side, base: Side, spent: Mapping[str, str], metric: Metric) -> Verdict | None:
    """Why their numbers cannot be compared; None if they can."""
    measured = _measured(arm, base, metric)
    if measured:
        return Verdict(Kind.OTHER, f"other {'validation' if metric.held_out else 'test'} images", measured)
    silent = [told for word, told in spent.items() if not _said(word, arm.line, base.line)]
    if silent:
        return Verdict(Kind.OTHER, "other budget", ", ".join(silent))
    machines = _machines(arm.trials, base.trials) if metric.clocked else ""
    return Verdict(Kind.OTHER, "other machine", machines) if machines else None


def _overlap(own: Mapping[int, float], other: Mapping[int, float]) -> str:
    """What is said of seeds that only one side has; empty if there are none."""
    common = sorted(own.keys() & other.keys())
    many = "s" * (len(common) != 1)
    told = f"the difference is over the seed{many} finished on both sides: {', '.join(map(str, common))}"
    return "" if own.keys() == other.keys() else told


def decide(found: Comparison, p_holm: float, metric: Metric) -> Verdict:
    """Better, worse or undecided, by the adjusted p value and the sign."""
    kind = Kind.BETTER if metric.better(found.diff) else Kind.WORSE
    kind = Kind.UNDECIDED if math.isnan(p_holm) or p_holm >= power.ALPHA else kind
    return Verdict(kind, kind.value)


def needed(found: Comparison, adjusted: Sequence[float]) -> int | None:
    """How many pairs would settle it beside the others of its table that are undecided, whose p values are adjusted."""
    if found.n < 2 or not found.diff or not found.std:
        return None
    undecided = sum(not p < power.ALPHA for p in adjusted)
    return power.needed(found.diff, found.std, power.ALPHA / undecided)


def _settled(found: Comparison, line: Line) -> Verdict | None:
    """The verdict of what takes no part in the adjustment; None of what does."""
    if found.identical:
        return _SAME_TRAINING
    if math.isnan(found.p):
        return Verdict(Kind.ONE, f"no verdict (one {'pair' if found.paired else 'seed'})")
    if found.n < LEAST:
        return Verdict(Kind.FEW, f"no verdict (two {'pairs' if found.paired else 'seeds'})")
    if CONTROL in line.flags:
        tie = found.p >= power.ALPHA
        return Verdict(Kind.TIE, "control: tie") if tie else Verdict(Kind.DIFFERS, "control: DIFFERS")
    return None


def _one_training(own: Trials, other: Trials) -> bool:
    """Whether their training losses are known and equal too, seed by seed."""
    seeds = own.values.keys() & other.values.keys()
    return seeds <= own.loss.keys() and all(own.loss[seed] == other.loss.get(seed) for seed in seeds)


def _measured(arm: Side, base: Side, metric: Metric) -> str:
    """How the images differ that the metric was measured on; empty if they are the same."""
    own, other = arm.trials.images, base.trials.images
    words = ["name", "val", "train", "split_seed"] if metric.held_out else ["name", "test"]
    if "(" in own.get("test", "") and not metric.held_out:  # a part, which the split's seed decides
        words.append("split_seed")
    differing = _differing(arm.line, base.line)
    if {"data.path", "data.content"} & differing or not differing & _PIXELS:
        words.append("pixels")
    if "data.size" not in differing:
        words.append("encoding")
    if own.get("pixels") and own.get("pixels") == other.get("pixels"):
        words.remove("name")  # of a file or folder that was renamed
    return _apart(words, own, other)


def _differing(arm: Line, base: Line) -> set[str]:
    """Keys that their configurations do not have in common."""
    keys = arm.config.keys() | base.config.keys()
    return {key for key in keys if arm.config.get(key) != base.config.get(key)}


def _machines(own: Trials, other: Trials) -> str:
    """How the machines differ; empty if all runs are of one."""
    told = []
    for word in ("device", "torch"):
        mine, theirs = own.machine.get(word, ()), other.machine.get(word, ())
        if mine != theirs or len(mine) > 1:
            told.append(_instead(word, " / ".join(mine), " / ".join(theirs)))
    return ", ".join(told)


def _apart(words: list[str], own: Mapping[str, str], other: Mapping[str, str]) -> str:
    told = [_against(word, own, other) for word in words if own.get(word) != other.get(word)]
    return ", ".join(told)


def _spent(own: Trials, other: Trials) -> dict[str, str]:
    """Words of the budget that differ, and how."""
    return {
        word: _against(word, own.budget, other.budget)
        for word in _SPENT
        if own.budget.get(word) != other.budget.get(word)
    }


def _against(word: str, own: Mapping[str, str], other: Mapping[str, str]) -> str:
    return _instead(word, own.get(word, ""), other.get(word, ""))


def _instead(word: str, own: str, other: str) -> str:
    """What a line has, and what its baseline."""
    return f"{WORDS.get(word, word)} {own or 'unknown'} instead of {other or 'unknown'}"


def _said(word: str, arm: Line, base: Line) -> bool:
    """Whether one of the lines itself says this of its budget: `epochs=400`."""
    said = re.compile(rf"(^|,)\+*{_KEYS.get(word, word)}=")
    return any(said.search(line.name) for line in (arm, base))
