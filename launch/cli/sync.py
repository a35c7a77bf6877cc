"""`ablation sync`: bring to MLflow what it lacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from ablation.errors import AblationError, ConfigError
from launch.backends import expected
from launch.cli import options
from launch.cli.selection import Filter, select
from launch.compose.errors import plural
from launch.sweep import upload
from launch.sweep.upload import Uploaded


@click.command()
@options.filtered
@click.option("--uri", show_default="that of each trial's configuration", help="The MLflow tracker to upload to.")
@options.as_json
def sync(name: str | None, out: Path, chosen: Filter, uri: str | None, as_json: bool) -> int:
    """Upload to MLflow what it lacks: all trials, or those of a sweep. Run it as often as you like."""
    if not out.is_dir():
        raise ConfigError(f"--out {out}: no such folder; name the one with the runs")
    folders = None
    if name or chosen.any:
        folders = [t.folder for t in select(out, name, chosen).trials if t.state.attempts]
    return _print_outcomes(upload.sync(out, uri, folders, expected=expected(out)), as_json)


def _print_outcomes(outcomes: Iterable[Uploaded], as_json: bool) -> int:
    """Print what becomes of each trial as soon as that is known; returns the exit code."""
    uploaded: list[Uploaded] = []
    trouble = ""
    try:
        for outcome in outcomes:
            uploaded.append(outcome)
            if not as_json:
                print(outcome)
    except AblationError as e:
        trouble = str(e)
    points = sum(o.points for o in uploaded)
    if as_json:
        print(json.dumps({"points": points, "error": trouble, "trials": [asdict(o) for o in uploaded]}))
    else:
        where = ", ".join(sorted({o.uri for o in uploaded if o.uri}))
        print(
            f"{plural(points, 'point')} of {plural(len(uploaded), 'trial')} uploaded"
            + (f" to {where}" if where else "")
        )
    if trouble:
        print(trouble, file=sys.stderr)
    return 1 if trouble or any(o.error for o in uploaded) else 0
