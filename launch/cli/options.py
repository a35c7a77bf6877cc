"""What several verbs share: their arguments and options, and how they print their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from launch.cli.selection import Filter, select
from launch.compose import overrides
from launch.status.trial_status import KINDS
from launch.tables import notes as note_files

Command = Callable[..., Any]
_WIDE = 200  # columns
URI = "sqlite:///results/mlflow.db"  # as conf/track/mlflow.yaml

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else.")
out = click.option(
    "--out",
    type=click.Path(file_okay=False, readable=False, path_type=Path),  # why it is not is said where it is read
    default=overrides.DEFAULT_OUT,
    show_default=True,
    help="Where the runs are.",
)
_name = click.argument("sweep", required=False, metavar="[SWEEP]")
_states = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(KINDS),
    metavar="STATE",
    help=f"Only trials in this state ({', '.join(KINDS)}); may be repeated.",
)
_ids = click.option(
    "--id", "ids", multiple=True, metavar="ID[/SEED]", help="Only trials whose id begins so; may be repeated."
)
_where = click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only trials with this value in their configuration, such as aug=mixup; if repeated, with all of them.",
)
tracker = click.option(
    "--uri",
    envvar="MLFLOW_TRACKING_URI",
    default=URI,
    show_default=f"MLFLOW_TRACKING_URI, else {URI}",
    help="The MLflow tracker that has the runs.",
)


def notes(verb: Command) -> Command:
    """Give a verb the `paths` of notes, of a folder all of them, and the `uri` of the tracker with their runs."""

    @click.argument("given", nargs=-1, metavar="[NOTES]...", type=click.Path(exists=True, path_type=Path))
    @tracker
    @wraps(verb)
    def command(given: tuple[Path, ...], **others: Any) -> Any:
        found = [sorted(path.glob("*.md")) if path.is_dir() else [path] for path in given or [note_files.NOTES]]
        return verb(paths=tuple(dict.fromkeys(chain.from_iterable(found))), **others)

    return command


def filters(verb: Command) -> Command:
    """Give a verb `out`, and which trials are `chosen`."""

    @out
    @_states
    @_ids
    @_where
    @wraps(verb)
    def command(states: tuple[str, ...], ids: tuple[str, ...], where: tuple[str, ...], **others: Any) -> Any:
        return verb(chosen=Filter(states, ids, where), **others)

    return command


def filtered(verb: Command) -> Command:
    """Give a verb the `name` of a sweep or None, `out`, and which trials are `chosen`."""

    @_name
    @filters
    @wraps(verb)
    def command(sweep: str | None, **others: Any) -> Any:
        return verb(name=sweep, **others)

    return command


def sweep(verb: Command) -> Command:
    """Give a verb the sweep it was asked about, with the trials chosen."""

    @filtered
    @wraps(verb)
    def command(name: str | None, out: Path, chosen: Filter, **others: Any) -> Any:
        return verb(select(out, name, chosen), **others)

    return command


def print_json(facts: dict[str, Any]) -> None:
    """The answer to a program: one object on standard output."""
    click.echo(json.dumps(facts))


def print_warnings(trouble: Iterable[str]) -> None:
    """What could not be read or asked, on standard error."""
    for text in trouble:
        click.echo(f"warning: {text}", err=True)


def console(err: bool = False) -> Console:
    """Standard output or error: as wide as the terminal, or wide enough for whole names where there is none."""
    found = Console(highlight=False, markup=False, soft_wrap=True, stderr=err)
    if found.is_terminal:
        return found
    return Console(highlight=False, markup=False, soft_wrap=True, stderr=err, width=_WIDE)
