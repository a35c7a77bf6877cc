"""Whether a line may be compared with its baseline, and what came of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from results.definition import Line
from results.metrics import Metric
from results.stats import power
from results.stats.compare import Comparison, compare
from results.trials import Trials

CONTROL = "control"  # flag of an A/A line, which differs from its baseline in name or in rounding only
_SPENT = ("epochs", "batch_size", "train", "val", "precision")  # the budget, without the test images
_KEYS = {"train": r"data(\.\w+)?", "val": r"data(\.\w+)?"}  # overrides that say so, where not named alike
_WHICH = ("pixels", "encoding")  # follow from the other words, unless files have changed


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    line: Line
    trials: Trials


@dataclass(frozen=True)
class Pairing:
    """How a line stands to its baseline."""

    comparison: Comparison | None = None
    verdict: str = ""  # empty: its p value decides, once it is adjusted
    marks: tuple[str, ...] = ()


def pair(arm: Side, base: Side | None, same_as: str | None, is_base: bool) -> Pairing:
    """A line and the one that it is compared with; None: with none. `is_base`: others are compared with this line."""
    trials = arm.trials
    if arm.line.id is None:
        return Pairing(verdict=f"cannot run yet: {arm.line.lacks}")
    if same_as is not None:
        return Pairing(verdict=f"same runs as {same_as}")
    if trials.mixed or not trials.values:
        return Pairing(verdict=trials.mixed or "no runs")
    if base is None:
        return Pairing(verdict="baseline" if is_base else "")
    if base.trials.mixed or not base.trials.values:
        return Pairing(verdict=f"{base.line.label} has {'mixed runs' if base.trials.mixed else 'no runs'}")
    tested = _tested(arm, base)
    if tested:
        return Pairing(verdict=f"other test images: {tested}")
    spent = _spent(trials, base.trials)
    silent = [told for word, told in spent.items() if not _said(word, arm.line, base.line)]
    if silent:
        return Pairing(verdict=f"other budget: {', '.join(silent)}")
    found = compare(trials.values, base.trials.values)
    assert found is not None
    if found.identical:  # accuracies of few images are equal by chance
        found = replace(found, identical=_one_training(trials, base.trials))
    marks = [f"other budget: {', '.join(spent.values())}"] if spent else []
    marks += [] if found.paired else ["not paired: no seed is finished on both sides"]
    return Pairing(found, _settled(found, arm.line), tuple(marks))


def decide(found: Comparison, p_holm: float, metric: Metric) -> str:
    """Better, worse or undecided, by the adjusted p value and the sign."""
    if math.isnan(p_holm) or p_holm >= power.ALPHA:
        return "undecided"
    return "better" if metric.better(found.diff) else "worse"


def needed(found: Comparison, adjusted: Sequence[float]) -> int | None:
    """How many pairs would settle it beside the others of its table that are undecided, whose p values are adjusted."""
    if found.n < 2 or not found.diff or not found.std:
        return None
    undecided = sum(not p < power.ALPHA for p in adjusted)
    return power.needed(found.diff, found.std, power.ALPHA / undecided)


def _settled(found: Comparison, line: Line) -> str:
    """The verdict of what takes no part in the adjustment."""
    if found.identical:
        return "identical"
    if math.isnan(found.p):
        return "one pair" if found.paired else "one seed"
    if CONTROL in line.flags:
        return "control: tie" if found.p >= power.ALPHA else "control: DIFFERS"
    return ""


def _one_training(own: Trials, other: Trials) -> bool:
    """Whether their training losses are equal too, seed by seed."""
    return all(own.loss.get(seed) == other.loss.get(seed) for seed in own.values.keys() & other.values.keys())


def _tested(arm: Side, base: Side) -> str:
    """How their test images differ; empty if they are the same."""
    own, other = arm.trials.images, base.trials.images
    words = ["name", "test"]
    if "(" in own.get("test", ""):  # a part, which the split's seed decides
        words.append("split_seed")
    if not _data_differs(arm.line, base.line):
        words += _WHICH
    return _apart(words, own, other)


def _data_differs(arm: Line, base: Line) -> bool:
    """Whether their configurations ask for other images."""

    def asked(config: Mapping[str, object]) -> dict[str, object]:
        return {key: value for key, value in config.items() if key.startswith("data.")}

    return asked(arm.config) != asked(base.config)


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
    return f"{word} {own.get(word, 'unknown')}, baseline's {other.get(word, 'unknown')}"


def _said(word: str, arm: Line, base: Line) -> bool:
    """Whether one of the lines itself says this of its budget: `epochs=400`."""
    said = re.compile(rf"(^|,)\+*{_KEYS.get(word, word)}=")
    return any(said.search(line.name) for line in (arm, base))
