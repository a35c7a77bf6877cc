"""`hydra/launcher=plan`: every arm, how it stands, and what the rest will cost. Starts nothing, writes nothing."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.build import near
from ablation.errors import AblationError, ConfigError
from launch.backends import Flight
from launch.checks import no_effect
from launch.checks.cost import Cost, Estimates
from launch.checks.probe import probe
from launch.compose import warnings
from launch.status.sweep_status import Trial, states
from launch.sweep.earlier_arms import EarlierArms, Stale
from launch.sweep.edits import Edits
from launch.sweep.submission import Planned, Submission, load, submissions
from launch.terminal import plan_table
from launch.terminal.arm_table import Row, rows

_OPTIONS = ("json", "probe", "rows", "check")
_OPEN = ("done", "running", "queued")  # what a run has not to begin


@dataclass(frozen=True)
class Outlook:
    """One arm of the grid."""

    planned: Planned
    row: Row  # how its trials stand together
    trials: list[Trial]
    stale: Stale | None  # of an arm of which nothing has run
    cost: Cost | None  # None also if nothing is to come
    edited: tuple[str, ...] = ()  # files of the code that differ from what its trials were trained by

    @property
    def state(self) -> str:
        """That of the row, or stale."""
        return "stale" if self.stale else self.row.state

    @property
    def missing(self) -> list[int]:
        """Seeds that a run would train."""
        return [t.seed for t in self.trials if t.state.kind not in _OPEN]

    @property
    def seconds(self) -> float | None:
        """Of training still to come, seeds that run or are queued included; None if nobody knows."""
        epochs = sum(self.row.epochs - t.state.epoch for t in self.trials if t.state.kind != "done")
        if not epochs:
            return 0.0
        return self.cost.seconds * epochs if self.cost else None


@dataclass(frozen=True)
class Report:
    """A sweep as it would be run now."""

    name: str
    out: Path
    arms: list[Outlook]  # in grid order
    gone: list[Row]  # arms of earlier submissions of this sweep that the grid no longer has
    notes: list[str]
    command: str  # that runs it

    def hours(self) -> dict[str, float]:
        """Of training still to come, as far as it is known, by kind of device."""
        found: dict[str, float] = {}
        for arm in self.arms:
            if arm.seconds and arm.cost:
                found[arm.cost.kind] = found.get(arm.cost.kind, 0.0) + arm.seconds / 3600
        return found


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> int:
    """Print the plan, as a table or with `json` as one object; returns 0.

    Raises:
        ConfigError: an option that cannot be.
    """
    chosen = _read(options)
    with redirect_stdout(sys.stderr):  # a trick may print; standard output is the plan's
        report = look(planned, command, timed=chosen["probe"], checked=no_effect.read(chosen))
    if chosen["json"]:
        print(json.dumps(plan_table.facts(report)))
    else:
        plan_table.show(report, chosen["rows"])
    return 0


def look(
    planned: Sequence[Planned], command: str, timed: bool = False, checked: no_effect.Asked = no_effect.NOTHING
) -> Report:
    """What would be run; `timed` probes shapes of which no earlier run tells, `checked` looks for dead switches."""
    out, name = Path(planned[0].config["out"]), planned[0].arm.sweep
    earlier, damaged = _earlier(out, name)
    flight, past = Flight(earlier), EarlierArms(out)
    standing = states(out, [(p, seed) for p in planned for seed in p.seeds], flight, write=False)
    trials: dict[str, list[Trial]] = {}
    for trial in standing.trials:
        trials.setdefault(trial.planned.arm.id, []).append(trial)
    notes = [*damaged, *standing.trouble, *warnings.of_sweep(planned)]
    notes += no_effect.check(planned, checked).notes
    estimates, edits = Estimates(past), Edits(out)
    if timed:
        notes += _probe(planned, estimates)
    arms = []
    for p, row in zip(planned, rows(standing.trials), strict=True):
        stale = past.stale(p, trials.keys()) if row.state == "new" else None
        cost = estimates.of(p) if row.done < row.total else None
        edited = edits.of(p.arm.id, p.config, [t.seed for t in trials[p.arm.id]])
        arms.append(Outlook(p, row, trials[p.arm.id], stale, cost, tuple(edited)))
    return Report(name, out, arms, _gone(out, earlier, trials.keys(), flight), notes, runs(command))


def _earlier(out: Path, name: str) -> tuple[list[Submission], list[str]]:
    """The submissions of a sweep, oldest first, and what is said of those that are damaged."""
    found, damaged = [], []
    for folder in submissions(out, name):
        try:
            found.append(load(folder))
        except AblationError as e:
            damaged.append(str(e))
    return found, damaged


def runs(command: str) -> str:
    """The line of a plan without what makes it a plan: it runs on the launcher that is the default."""
    return shlex.join(
        word for word in shlex.split(command) if not word.startswith(("hydra/launcher=", "hydra.launcher."))
    )


def _gone(out: Path, earlier: Sequence[Submission], kept: Collection[str], flight: Flight) -> list[Row]:
    arms = {id_: p for submission in earlier for id_, p in submission.arms.items() if id_ not in kept}
    return rows(states(out, [(p, seed) for p in arms.values() for seed in p.seeds], flight, write=False).trials)


def _probe(planned: Sequence[Planned], estimates: Estimates) -> list[str]:
    """Time every shape that is not known; says what could not be timed."""
    notes = []
    for p in estimates.unknown(planned):
        try:
            cost = probe(p)
        except (Exception, SystemExit) as e:  # whatever a trick does, the other shapes are timed
            cost = AblationError(f"{type(e).__name__}: {' '.join(str(e).split())}")
        if isinstance(cost, AblationError):
            notes.append(f"{p.arm.name} could not be timed: {cost}")
        else:
            estimates.learn(p, cost)
    return notes


def _read(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `conf/hydra/launcher/plan.yaml`, checked."""
    given = {key: value for key, value in options.items() if key != "kind" and not key.startswith("_")}
    for key, value in given.items():
        if key not in _OPTIONS:
            raise ConfigError(f"hydra.launcher.{key}: no such option of plan; {near(key, _OPTIONS)}")
        if key == "rows" and (type(value) is not int or value < 0):
            raise ConfigError(f"hydra.launcher.rows={value}: give a whole number, 0 for all")
        if key in ("json", "probe") and not isinstance(value, bool):
            raise ConfigError(f"hydra.launcher.{key}={value}: give true or false")
    return given
