"""Dead switches, which change nothing, found before a sweep is launched: arms that are one and the same training.

A few real steps of every arm are compared bit for bit. Arms share their random numbers, so that what differs between
two of them is what their settings make. A process of its own (`ablation.trial.fingerprint`) does the steps, and only so
long as the budget lasts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ablation.errors import ConfigError
from ablation.store.identity import difference
from ablation.trial.program import program_of
from launch.checks.child import answers
from launch.compose.arm import Planned, has_run, names_of
from launch.compose.errors import plural
from launch.compose.naming import few, grouped, rules
from launch.sweep.earlier_arms import EarlierArms
from launch.sweep.launcher_options import LAUNCHER, refused

_KEY = f"{LAUNCHER}.check"
_AUTO_ARMS, _AUTO_EPOCHS, _AUTO_SECONDS = 32, 100, 10.0
_SECONDS, _LONGEST = 60.0, 1_000_000
_COMPARED = (
    "what was compared: images, augmented batches, parameters, the schedules over the whole run, and losses, weights "
    "and evaluation in the first two steps, one in the middle and the last"
)
_PERHAPS = "perhaps "  # before keys that may act later: no reason to refuse


class Budget(NamedTuple):
    """What a launcher's option `check` asks for."""

    seconds: float  # 0: no check
    auto: bool = False
    strict: bool = False


NO_CHECK = Budget(0.0)


@dataclass(frozen=True)
class CheckResult:
    """What a check has found, as notes for a person."""

    dead: tuple[str, ...] = ()  # one for each arm that trains as an earlier one
    remarks: tuple[str, ...] = ()  # what was compared, and what could not be

    @property
    def notes(self) -> list[str]:
        """All of it."""
        return [*self.dead, *self.remarks]


NOT_CHECKED = CheckResult()


def read(options: Mapping[str, Any]) -> Budget:
    """The option `check`: auto, true, false, strict, or a budget in seconds.

    Raises:
        ConfigError: anything else.
    """
    value = options.get("check", False)
    if value == "auto":
        return Budget(_AUTO_SECONDS, auto=True)
    if value == "strict":
        return Budget(_SECONDS, strict=True)
    if isinstance(value, bool):
        return Budget(_SECONDS if value else 0.0)
    if isinstance(value, int | float) and 0 < value <= _LONGEST:
        return Budget(float(value))
    raise refused(_KEY, value, f"auto, true, false, strict (refuse dead switches), or seconds, at most {_LONGEST}")


def is_wanted(planned: Sequence[Planned], budget: Budget) -> bool:
    """Whether to check these arms.

    "auto": a new grid of a size that is soon checked, and that trains long enough to be worth it; one that is over in a
    moment tells by its own results.
    """
    if not budget.auto:
        return budget.seconds > 0
    epochs = sum(p.config["epochs"] * len(p.seeds) for p in planned)
    fits = 2 <= len(planned) <= _AUTO_ARMS and epochs >= _AUTO_EPOCHS
    return fits and not any(has_run(Path(p.config["out"]) / p.arm.id) for p in planned)


def check(planned: Sequence[Planned], budget: Budget) -> CheckResult:
    """Compare the arms, if that is wanted. Writes nothing but what loading the data set leaves.

    Raises:
        ConfigError: a trick is no function of its key; or `strict`, and two arms are one training.
    """
    if not is_wanted(planned, budget):
        return NOT_CHECKED
    began, seed = time.monotonic(), planned[0].seeds[0]
    known = {p.arm.id: p.config for p in planned}
    questions = [{"config": p.config, "teacher": _teacher(p, known), "seed": seed} for p in planned]
    replies = answers(questions, budget.seconds)
    short = names_of(planned).short
    _refuse_unsteady(planned, replies, short)
    seen = [(p, a["aspects"]) for p, a in zip(planned, replies, strict=True) if a is not None and "aspects" in a]
    pairs, remarks = _notes_on_same(seen, short), _notes_on_unchecked(planned, replies, short, budget)
    took = f"{plural(len(seen), 'arm')}, {time.monotonic() - began:.1f} s"
    remarks += _notes_on_silent(seen, short)
    if pairs:
        remarks.append(f"{_COMPARED} ({took})")
    elif seen:
        remarks.append(f"no two arms train alike in the steps that were tried ({took})")
    found = CheckResult(tuple(pairs), tuple(remarks))
    if budget.strict and any(_PERHAPS not in note for note in found.dead):
        raise ConfigError("\n".join([f"{_KEY}=strict: nothing was started:", *found.notes]))
    return found


def _refuse_unsteady(
    planned: Sequence[Planned], replies: Sequence[Mapping[str, Any] | None], short: Mapping[str, str]
) -> None:
    found = [
        f"{short[p.arm.id]}: two trainings of it with one seed differ: {a['unsteady']}"
        for p, a in zip(planned, replies, strict=True)
        if a is not None and "unsteady" in a
    ]
    if found:
        way = "draw from the key alone, and keep nothing from call to call (ablation/types.py)"
        raise ConfigError("\n".join([f"{_KEY}: nothing was started; {way}:", *found]))


def _teacher(p: Planned, known: Mapping[str, Any]) -> Any:
    """The configuration of an arm's teacher, which is not trained yet; None without one, or if it is gone."""
    if p.teacher is None or p.teacher in known:
        return known.get(p.teacher or "")
    return EarlierArms(Path(p.config["out"])).config(Path(p.config["out"]) / p.teacher)


def _notes_on_same(seen: Sequence[tuple[Planned, Mapping[str, str]]], short: Mapping[str, str]) -> list[str]:
    """A note for each arm that trains as an earlier one; teachers, which come first, may be the same too."""
    firsts: dict[str, Planned] = {}
    same: dict[str | None, str] = {}  # id of an arm -> of the first that trains so
    notes = []
    for p, aspects in seen:
        taught = same.get(p.teacher, p.teacher)
        first = firsts.setdefault(str([taught, *sorted(aspects.items())]), p)
        same[p.arm.id] = first.arm.id
        if first is not p:
            notes.append(_note(first, p, short))
    return notes


def _note(first: Planned, second: Planned, short: Mapping[str, str]) -> str:
    changed = [key for key in difference(first.config, second.config, rules()) if not key.endswith("_target_")]
    text = f"{short[second.arm.id]} trains exactly as {short[first.arm.id]} in the steps that were tried"
    later = [key for key in changed if any(program_of(p.config).acts_later(p.config, key) for p in (first, second))]
    if later:
        return f"{text}: {_PERHAPS}{', '.join(later)} never acts, or only later"
    return f"{text}: is it a switch that changes nothing?"


def _notes_on_silent(seen: Sequence[tuple[Planned, Mapping[str, str]]], short: Mapping[str, str]) -> list[str]:
    """What never learns, as when a zero is multiplied by another: parameters without a gradient."""
    silent = grouped((short[p.arm.id], aspects["silent"]) for p, aspects in seen if aspects["silent"])
    return [
        f"{few(names)}: no gradient reaches these parameters in the steps that were tried: {which}; do they ever learn?"
        for which, names in silent.items()
    ]


def _notes_on_unchecked(
    planned: Sequence[Planned], replies: Sequence[Mapping[str, Any] | None], short: Mapping[str, str], budget: Budget
) -> list[str]:
    """What could not be checked, and why."""
    found = zip(planned, replies, strict=True)
    errors = grouped((short[p.arm.id], answer["error"]) for p, answer in found if answer and "error" in answer)
    notes = [f"{few(names)} could not be checked for dead switches: {error}" for error, names in errors.items()]
    left = sum(answer is None for answer in replies)
    if left:
        more = f"{_KEY}={max(300, 4 * round(budget.seconds))} gives it more time"
        notes.append(
            f"{left} of {len(planned)} arms are not checked for dead switches, since the {budget.seconds:g} s for it "
            f"are over; {more}"
        )
    return notes
