"""`ablation sweeps`: which sweeps there are, and how each stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ablation.errors import AblationError
from launch.cli import options
from launch.cli.selection import Filter, SelectedSweep, select
from launch.sweep.submission import submissions
from launch.terminal.arm_table import describe_totals, totals


@click.command()
@options.out
@options.as_json
def sweeps(out: Path, as_json: bool) -> int:
    """Which sweeps there are, the one submitted last at the end, and how each stands."""
    names = list(dict.fromkeys(folder.parent.name for folder in reversed(submissions(out))))
    found, trouble = _read(out, list(reversed(names)))
    if as_json:
        options.print_json({"out": str(out), "sweeps": [_facts(sweep) for sweep in found], "trouble": trouble})
    elif found:
        options.console().print(_table(found))
    elif not trouble:
        click.echo(f"no sweep was started under {out}; `ablation run -m` starts one, and --out names another folder")
    options.print_warnings(trouble)
    return 1 if trouble and not found else 0


def _read(out: Path, names: Sequence[str]) -> tuple[list[SelectedSweep], list[str]]:
    """Those that can be read, and why others or parts of them cannot."""
    found, trouble = [], []
    for name in names:
        try:
            found.append(select(out, name, Filter()))
        except (AblationError, OSError) as e:
            trouble.append(f"{name}: {e}")
        else:
            trouble += [f"{name}: {text}" for text in found[-1].trouble]
    return found, trouble


def _facts(sweep: SelectedSweep) -> dict[str, Any]:
    """A sweep for a program; times in seconds since 1970."""
    return {
        "sweep": sweep.name,
        "submissions": [submission.number for submission in sweep.submissions],
        "first": sweep.submissions[0].time,
        "last": sweep.submissions[-1].time,
        "arms": len({t.planned.arm.id for t in sweep.trials}),
        "totals": totals(sweep.trials),
        "command": sweep.submissions[-1].command,
    }


def _table(found: Sequence[SelectedSweep]) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("sweep", overflow="fold")
    view.add_column("last submitted", no_wrap=True)
    view.add_column("submissions", justify="right")
    view.add_column("arms", justify="right")
    view.add_column("trials")
    for sweep in found:
        facts = _facts(sweep)
        view.add_row(
            sweep.name,
            f"{datetime.fromtimestamp(facts['last']):%Y-%m-%d %H:%M}",
            str(len(facts["submissions"])),
            str(facts["arms"]),
            describe_totals(facts["totals"]),
        )
    return view
