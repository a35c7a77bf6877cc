"""`ablation status`: how a sweep stands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from launch.cli import options
from launch.cli.selection import SelectedSweep
from launch.compose.overrides import verb_command
from launch.status import failures
from launch.status.sweep_status import Trial
from launch.status.usage import usage
from launch.sweep import edited_code
from launch.terminal import arm_table
from launch.terminal.words import most_urgent


@click.command()
@options.sweep
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="How many arms are listed at most, the urgent ones first; 0 lists all.",
)
@options.as_json
def status(sweep: SelectedSweep, rows: int, as_json: bool) -> int:
    """How a sweep stands: arms, totals, hours.

    Exit code 1 if some trial is not done and nobody is about to do it.
    """
    return show(sweep, rows, as_json)


def show(sweep: SelectedSweep, rows: int, as_json: bool) -> int:
    """Print it; returns the exit code."""
    found, costs = arm_table.arm_rows(sweep.trials), usage(sweep.trials, sweep.submissions)
    done: dict[str, list[Path]] = {}
    for t in (t for t in sweep.trials if t.state.kind == "done"):
        done.setdefault(t.planned.arm.id, []).append(t.folder)
    notes = edited_code.mixed_seeds(done, sweep.out)
    if as_json:
        options.print_json(
            {
                "sweep": sweep.name,
                "out": str(sweep.out),
                "submissions": [s.number for s in sweep.submissions],
                "totals": arm_table.totals(sweep.trials),
                "hours": {device: entry.hours() for device, entry in costs.items()},
                "arms": [arm_table.facts(row) for row in found],
                "trials": [trial_facts(t) for t in sweep.trials],
                "notes": notes,
                "trouble": sweep.trouble,
            }
        )
    else:
        console = options.console()
        shown = most_urgent([row.state for row in found], rows)
        console.print(sweep.names.heading(f"sweep {sweep.name} in {sweep.out}"))
        console.print(arm_table.table([found[n] for n in shown], sweep.names, console.width))
        if more := arm_table.hidden(found, shown):
            console.print(f"{more} (--rows 0 lists all)")
        for row in (r for r in found if r.stale):
            console.print(f"stale: {row.id[:8]}, since its command gives another arm now: {row.stale}")
        for line in (arm_table.describe_totals(arm_table.totals(sweep.trials)), *arm_table.describe_usage(costs)):
            console.print(line)
        for note in notes:
            console.print(f"note: {note}")
        if any(failures.failed(t) for t in sweep.trials):
            why, again = (verb_command(f"{verb} {sweep.name}", sweep.out) for verb in ("logs --failed", "retry"))
            console.print(f"why:   {why}\nagain: {again}  # with the code and options as they were submitted")
            console.print("       or, once these are corrected, the same grid again: what is done is kept")
        options.print_warnings(sweep.trouble)
    return 1 if arm_table.any_abandoned(sweep.trials) else 0


def trial_facts(t: Trial) -> dict[str, Any]:
    """A trial for a program."""
    state = asdict(t.state)
    kind = state.pop("kind")
    return {
        "id": t.planned.arm.id,
        "seed": t.seed,
        "state": kind,
        **state,
        "stale": t.stale,
        "epochs": t.planned.config["epochs"],
    }
