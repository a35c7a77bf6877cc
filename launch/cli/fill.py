"""`ablation fill`: put what the runs say between the markers of the notes."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli import options
from launch.compose.errors import plural
from launch.tables import notes as note_files
from launch.terminal.working import working


@click.command()
@options.notes
@options.as_json
def fill(paths: tuple[Path, ...], uri: str, as_json: bool) -> int:
    """Put what the runs say between the markers of notes: all of results/notes, or those named.

    \b
    <!-- table: lab/eta epochs=20 seeds=3 -->            a table, at a budget of your own
    <!-- end table -->
    <!-- finding: lab/eta epochs=20 seeds=3 | eta 1e-4 --><!-- end finding -->   one row of it, as a sentence

    What stands outside the markers is yours and stays as it is. Doing it again changes nothing.
    """
    with working("reading notes, tables and runs"):
        made = note_files.fill(paths, uri)
    for each in made:
        each.write()
    changed = {each.note.name: [block.name for block in each.changed] for each in made}
    total, number = sum(len(each.note.blocks) for each in made), sum(map(len, changed.values()))
    if as_json:
        notes = [{"note": name, "changed": names} for name, names in changed.items()]
        options.print_json({"notes": notes, "blocks": total, "changed": number})
        return 0
    for each in made:
        if each.changed:
            click.echo(f"{each.note.name}: {len(each.changed)} of {len(each.note.blocks)} blocks changed")
    click.echo(f"{plural(total, 'block')} in {plural(len(made), 'file')}: {number} changed")
    return 0
