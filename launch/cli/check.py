"""`ablation check`: do the notes still say what the runs say?"""

from __future__ import annotations

from pathlib import Path

import click

from ablation.errors import ConfigError
from launch.cli import options
from launch.compose.errors import plural
from launch.tables import notes
from launch.terminal.working import working


@click.command()
@options.notes
@options.as_json
def check(paths: tuple[Path, ...], uri: str, as_json: bool) -> int:
    """Fail if a block between markers is not what `ablation fill` would put there, and say why. Notes are not touched.

    Exit code 1: some block no longer matches the runs.
    """
    with working("reading notes, tables and runs"):
        made = notes.fill(paths, uri)
    total = sum(len(each.note.blocks) for each in made)
    if not total:
        raise ConfigError("no note with a block between markers was found; name notes that have one")
    stale = [(each.note.name, block, why) for each in made for block, why in each.changed_with_reasons]
    if as_json:
        facts = [{"note": n, "line": b.line, "block": b.name, "reasons": why} for n, b, why in stale]
        options.print_json({"notes": len(made), "blocks": total, "stale": facts})
        return int(bool(stale))
    for name, block, why in stale:
        click.echo(f"{name}:{block.line}: {block.name}: no longer matches the runs: {'; '.join(why)}")
    if stale:
        click.echo("`ablation fill` puts in what the runs say now; then see whether the text around it still holds")
    click.echo(f"{plural(total, 'block')} in {plural(len(made), 'file')}: {len(stale)} no longer match the runs")
    return int(bool(stale))
