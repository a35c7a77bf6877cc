"""`ablation lr`: what a learning rate range test says."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli import options
from launch.sweep.lookup import Archive, find_trial
from results import lr_finder


@click.command()
@click.argument("run", metavar="ID[/SEED]")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help=f"Where the picture goes instead of {lr_finder.PICTURE} in the run folder.",
)
@options.out
@options.as_json
def lr(run: str, to: Path | None, out: Path, as_json: bool) -> int:
    """The learning rate that a range test suggests, read from the loss of its steps, and its picture.

    ID is the beginning of an id, or the name of an arm as `ablation status` shows it. The losses of several seeds are
    averaged.
    """
    known, seeds = find_trial(Archive(out), run)
    found = lr_finder.show(known.folder, seeds, known.name, to)
    if as_json:
        options.print_json({"id": known.id, **found.facts()})
    else:
        for line in found.lines():
            click.echo(line)
    options.print_warnings(known.trouble)
    return 0 if found.reading.suggestion is not None else 1
