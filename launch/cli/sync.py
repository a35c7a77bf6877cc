"""`ablation sync`: bring to MLflow what it lacks."""

from __future__ import annotations

from pathlib import Path

import click

from ablation.errors import ConfigError
from launch.cli import options
from launch.cli.selection import Filter, find
from launch.sweep import upload as uploads


@click.command()
@options.filtered
@click.option("--uri", show_default="each trial's own", help="The tracker.")
@options.as_json
def sync(name: str | None, out: Path, chosen: Filter, uri: str | None, as_json: bool) -> int:
    """Upload to MLflow what it lacks: all trials, or those of a sweep. Run it as often as you like."""
    if not out.is_dir():
        raise ConfigError(f"--out {out}: no such folder")
    folders = None
    if name or chosen.any:
        folders = [t.folder for t in find(out, name, chosen).trials if t.state.attempts]
    return uploads.report(uploads.sync(out, uri, folders), as_json)
