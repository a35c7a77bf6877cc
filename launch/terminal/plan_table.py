"""What `hydra/launcher=plan` has found out: as a table for people, and as facts for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ablation.store import code
from launch.checks.cost import Cost
from launch.compose.arm import Planned, names_of
from launch.compose.errors import plural
from launch.compose.naming import few
from launch.status.sweep_status import Trial
from launch.status.trial_status import format_duration
from launch.sweep import edited_code
from launch.sweep.earlier_arms import StaleArm
from launch.terminal import arm_table
from launch.terminal.arm_table import ArmRow, describe_totals
from launch.terminal.words import in_words, list_counts, most_urgent, ordered, state_text

_UNDER_WAY = ("done", "running", "queued")  # trials that a run would not begin
_COLUMNS = ("id", "arm", "state", "seeds", "missing", "to come")
_WIDE = 200  # columns where there is no terminal: names are not cut


@dataclass(frozen=True)
class PlannedArm:
    """One arm of the grid."""

    planned: Planned
    row: ArmRow  # how its trials stand together
    trials: list[Trial]
    stale: StaleArm | None  # of an arm of which nothing has run
    cost: Cost | None  # None also if nothing is to come
    edited: tuple[str, ...] = ()  # files of the code that differ from what its trials were trained by

    @property
    def state(self) -> str:
        """That of the row, or stale."""
        return "stale" if self.stale else self.row.state

    @property
    def missing(self) -> list[int]:
        """Seeds that a run would train."""
        return [t.seed for t in self.trials if t.state.kind not in _UNDER_WAY]

    @property
    def seconds(self) -> float | None:
        """Of training still to come, seeds that run or are queued included; None if nobody knows."""
        epochs = sum(self.row.epochs - t.state.epoch for t in self.trials if t.state.kind != "done")
        if not epochs:
            return 0.0
        return self.cost.seconds * epochs if self.cost else None


@dataclass(frozen=True)
class PlanReport:
    """A sweep as it would be run now."""

    name: str
    out: Path
    arms: list[PlannedArm]  # in grid order
    gone: list[ArmRow]  # arms of earlier submissions of this sweep that the grid no longer has
    notes: list[str]
    command: str  # that runs it

    def hours(self) -> dict[str, float]:
        """Of training still to come, as far as it is known, by kind of device."""
        found: dict[str, float] = {}
        for arm in self.arms:
            if arm.seconds and arm.cost:
                found[arm.cost.kind] = found.get(arm.cost.kind, 0.0) + arm.seconds / 3600
        return found


def show(report: PlanReport, limit: int) -> None:
    """Print it; at most `limit` arms, 0 for all."""
    console = Console(highlight=False, markup=False)
    console = console if console.is_terminal else Console(highlight=False, markup=False, width=_WIDE)
    names = names_of(arm.planned for arm in report.arms)
    console.print(names.heading(f"sweep {report.name} in {report.out}"))
    rows = [replace(arm.row, state=arm.state) for arm in report.arms]
    shown = most_urgent([row.state for row in rows], limit)
    arms = [report.arms[n] for n in shown]
    more: dict[str, Sequence[str | Text]] = {
        "state": [_state(arm) for arm in arms],
        "missing": [",".join(map(str, arm.missing)) for arm in arms],
        "to come": [_to_come(arm) for arm in arms],
    }
    console.print(arm_table.table([rows[n] for n in shown], names, console.width, _COLUMNS, more, fold=True))
    if rest := arm_table.hidden(rows, shown):
        console.print(f"{rest} (hydra.launcher.rows=0 lists all)")
    for line in _lines(report):
        console.print(line, soft_wrap=True)


def _state(arm: PlannedArm) -> Text:
    number = arm.row.counts.get(arm.row.state, 0)
    why = str(arm.stale) if arm.stale else in_words(arm.row.cause)
    return state_text(arm.state, number, arm.row.total, why, code.told(arm.edited))


def _to_come(arm: PlannedArm) -> str:
    seconds = arm.seconds
    return "unknown" if seconds is None else format_duration(seconds) if seconds else ""


def _lines(report: PlanReport) -> list[str]:
    """What stands below the table."""
    trials = Counter(t.state.kind for arm in report.arms for t in arm.trials)
    stale = [arm for arm in report.arms if arm.stale]
    lines = [f"{plural(len(report.arms), 'arm')}, {describe_totals(trials)}"]
    if stale:
        lines[0] += f"; {len(stale)} stale: run before with other defaults or before a correction, and to be run anew"
    known = [arm.seconds for arm in report.arms if arm.seconds]
    if known:
        hours = ", ".join(f"{format_duration(h * 3600)} on {kind}" for kind, h in sorted(report.hours().items()))
        lines.append(f"to come: training of {hours}, if it is one trial after another (from {_sources(report)})")
    unknown = sum(arm.seconds is None for arm in report.arms)
    if unknown:
        lines.append(f"unknown: nothing like {unknown} of the arms has run; hydra.launcher.probe=true times some steps")
    if other := [arm.row.id for arm in report.arms if arm.edited]:
        again = edited_code.redo_command(other, report.out)
        lines.append(f"{len(other)} of the arms ran with other code than today's; to train them again: {again}")
    if report.gone:
        gone = Counter(row.state for row in report.gone)
        which, states = few([row.id[:8] for row in report.gone], 5), list_counts(gone)
        arms, are = ("arm", "is") if len(report.gone) == 1 else ("arms", "are")
        lines.append(
            f"{len(report.gone)} {arms} of sweep {report.name} {are} not in this grid, and kept ({states}): {which}"
        )
    return [*lines, *(f"note: {note}" for note in report.notes), f"run it: {report.command}"]


def _sources(report: PlanReport) -> str:
    """What the costs are known from, each machine once: `3 runs, 5 runs on cpu (1 threads)`."""
    by_device: dict[str, set[str]] = {}
    for arm in report.arms:
        if arm.cost and arm.seconds:
            by_device.setdefault(arm.cost.device, set()).add(arm.cost.source)
    return "; ".join(f"{', '.join(sorted(sources))} on {device}" for device, sources in sorted(by_device.items()))


def facts(report: PlanReport) -> dict[str, Any]:
    """The whole plan for a program; seconds and hours are of training still to come, null if unknown."""
    return {
        "sweep": report.name,
        "out": str(report.out),
        "command": report.command,
        "arms": [_facts(arm) for arm in report.arms],
        "gone": [{"id": row.id, "name": row.name, "state": row.state} for row in report.gone],
        "notes": report.notes,
        "totals": {
            "arms": len(report.arms),
            "trials": ordered(Counter(t.state.kind for arm in report.arms for t in arm.trials)),
            "stale": sum(arm.stale is not None for arm in report.arms),
            "hours": report.hours(),
            "unknown": sum(arm.seconds is None for arm in report.arms),
        },
    }


def _facts(arm: PlannedArm) -> dict[str, Any]:
    planned = arm.planned
    return {
        "id": planned.arm.id,
        "name": planned.arm.name,
        "state": arm.state,
        "cause": arm.row.cause,
        "overrides": planned.arm.overrides,
        "command": planned.arm.command,
        "teacher": planned.teacher,
        "notes": list(planned.notes),
        "stale": {"folder": str(arm.stale.folder), "changed": dict(arm.stale.changed)} if arm.stale else None,
        "edited": list(arm.edited),
        "seeds": {str(t.seed): {**asdict(t.state), "folder": str(t.folder)} for t in arm.trials},
        "missing": arm.missing,
        "seconds": arm.seconds,
        "cost": arm.cost and {**arm.cost._asdict(), "kind": arm.cost.kind},
    }
