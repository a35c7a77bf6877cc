"""`hydra/launcher=plan`: every arm, how it stands, and what the rest will cost. Starts nothing, writes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from launch.backends import pending
from launch.checks import no_effect
from launch.checks.cost import Estimates
from launch.checks.probe import probe
from launch.compose import warnings
from launch.compose.arm import Planned, names_of
from launch.compose.overrides import run_command
from launch.compose.paths import look_at_out
from launch.status.sweep_status import AskPending, Trial, trial_statuses
from launch.sweep.earlier_arms import EarlierArms
from launch.sweep.edited_code import Edits
from launch.sweep.launcher_options import refuse_unknown, truth, whole
from launch.sweep.submission import Submission, load_all
from launch.terminal import plan_table
from launch.terminal.arm_table import ArmRow, arm_rows
from launch.terminal.plan_table import PlannedArm, PlanReport

_MOST_ROWS = 1_000_000
_OPTIONS = ("json", "probe", "rows", "check")


def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> int:
    """Print the plan, as a table or with `json` as one object; returns 0.

    Raises:
        ConfigError: an option that cannot be.
    """
    chosen = _read_options(options)
    with redirect_stdout(sys.stderr):  # a trick may print; standard output is the plan's
        report = make_plan(planned, command, timed=chosen["probe"], budget=no_effect.read(options))
    if chosen["json"]:
        print(json.dumps(plan_table.facts(report)))
    else:
        plan_table.show(report, chosen["rows"])
    return 0


def make_plan(
    planned: Sequence[Planned], command: str, timed: bool = False, budget: no_effect.Budget = no_effect.NO_CHECK
) -> PlanReport:
    """What would be run; `timed` probes shapes of which no earlier run tells, `budget` looks for dead switches."""
    out, name = look_at_out(planned[0].config), planned[0].arm.sweep
    earlier, damaged = load_all(out, name)
    coming, past = pending(earlier), EarlierArms(out)
    status = trial_statuses(out, [(p, seed) for p in planned for seed in p.seeds], coming, write=False)
    trials: dict[str, list[Trial]] = {}
    for trial in status.trials:
        trials.setdefault(trial.planned.arm.id, []).append(trial)
    notes = [*damaged, *status.trouble, *warnings.sweep_notes(planned)]
    notes += no_effect.check(planned, budget).notes
    estimates, edits = Estimates(past), Edits(out)
    if timed:
        notes += _probe(planned, estimates)
    arms = []
    for p, row in zip(planned, arm_rows(status.trials), strict=True):
        stale = past.stale(p, trials.keys()) if row.state == "new" else None
        cost = estimates.of(p) if row.done < row.total else None
        edited = edits.of(p.arm.id, p.config, [t.seed for t in trials[p.arm.id]])
        arms.append(PlannedArm(p, row, trials[p.arm.id], stale, cost, tuple(edited)))
    return PlanReport(name, out, arms, _arms_gone(out, earlier, trials.keys(), coming), notes, run_command(command))


def _arms_gone(out: Path, earlier: Sequence[Submission], kept: Collection[str], coming: AskPending) -> list[ArmRow]:
    arms = {id_: p for submission in earlier for id_, p in submission.arms.items() if id_ not in kept}
    return arm_rows(
        trial_statuses(out, [(p, seed) for p in arms.values() for seed in p.seeds], coming, write=False).trials
    )


def _probe(planned: Sequence[Planned], estimates: Estimates) -> list[str]:
    """Time every shape that is not known; says what could not be timed."""
    notes, names = [], names_of(planned)
    for p in estimates.unknown(planned):
        try:
            cost = probe(p)
        except (Exception, SystemExit) as e:  # whatever a trick does, the other shapes are timed
            cost = AblationError(f"{type(e).__name__}: {' '.join(str(e).split())}")
        if isinstance(cost, AblationError):
            notes.append(f"{names.short[p.arm.id]} could not be timed: {cost}")
        else:
            estimates.add(p, cost)
    return notes


def _read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `conf/hydra/launcher/plan.yaml`, checked."""
    refuse_unknown(options, ("run", *_OPTIONS), kind="option of plan")
    rows = whole({"rows": 0, **options}, "rows", 0, give="a whole number, 0 for all", most=_MOST_ROWS)
    return {"rows": rows, "json": truth(options, "json"), "probe": truth(options, "probe")}
