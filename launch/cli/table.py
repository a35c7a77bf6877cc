"""`ablation table`: which tables there are, what their rows are, and which of them can be run today."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click
from hydra.errors import HydraException
from rich.table import Table
from rich.text import Text

from ablation.errors import ConfigError
from launch.cli import options
from launch.compose import errors
from launch.compose.errors import plural
from launch.compose.hydra_version import running
from launch.tables import coverage as covering
from launch.tables.coverage import CoveredRow
from launch.tables.definition import define, table_names
from launch.tables.request import parse_request
from launch.terminal.working import working
from results.tables.definition import Definition, Line


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME [OVERRIDE]...]")
@click.option("--coverage", is_flag=True, help="Which rows can be run today, and what the others lack.")
@options.as_json
def table(words: tuple[str, ...], coverage: bool, as_json: bool) -> int:
    """Tables that others have published, as conf/table has them.

    Without a name: all tables. With a name: its rows, what was reported of them and footnotes; overrides such as
    epochs=20 are those of `launch/run.py -m table=NAME`.
    """
    try:
        if coverage:
            with working("composing and checking the rows"):
                rows = covering.coverage(list(words) or None)
            return _show_coverage(rows, as_json)
        if words:
            with working("composing and checking the rows"):
                definition = define([f"table={words[0].removeprefix('table=')}", *words[1:]])
            return _show_table(definition, as_json)
        return _list_tables(as_json)
    except HydraException as e:
        raise ConfigError(errors.message(e, words)) from e


def _list_tables(as_json: bool) -> int:
    """Nothing is composed for it: which rows can be run takes seconds to find out."""
    with running():
        requests = [parse_request([f"table={name}"]) for name in table_names()]
    found = [(each.name, len(each.rows), each.about.title or each.name) for each in requests]
    if as_json:
        options.print_json({"tables": [{"table": name, "title": title, "rows": rows} for name, rows, title in found]})
        return 0
    view = _empty_table("table", "rows", "title")
    for name, rows, title in found:
        view.add_row(name, str(rows), Text(title))
    console = options.console()
    console.print(view)
    console.print(
        "`ablation table NAME` shows the rows of one, `ablation table --coverage` how many rows can be run today"
    )
    return 0


def _show_coverage(rows: Sequence[CoveredRow], as_json: bool) -> int:
    counted, wanted = _counted(rows), covering.lacking(rows)
    ok = sum(not row.lacks for row in rows)
    if as_json:
        facts = {name: {"composable": good, "rows": all_} for name, (good, all_) in counted.items()}
        listed = [asdict(row) for row in rows]
        options.print_json({"composable": ok, "rows": len(rows), "tables": facts, "lacks": dict(wanted), "all": listed})
        return 0
    console = options.console()
    view = _empty_table("table", "can be run", "rows")
    for name, (good, all_) in counted.items():
        view.add_row(name, str(good), str(all_))
    view.add_row(f"{len(counted)} tables", str(ok), str(len(rows)))
    console.print(view)
    for lack, n in wanted:
        console.print(f"{lack}: {plural(n, 'row')}")
    return 0


def _counted(rows: Sequence[CoveredRow]) -> Mapping[str, tuple[int, int]]:
    """Table -> rows that can be composed, all rows."""
    found: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        found[row.table].append(not row.lacks)
    return {name: (sum(good), len(good)) for name, good in found.items()}


def _show_table(definition: Definition, as_json: bool) -> int:
    if as_json:
        options.print_json(asdict(definition))
        return 0
    console = options.console()
    console.print(f"{definition.name}: {definition.title}")
    about = {"source": definition.source, "protocol": definition.protocol, "changed": " ".join(definition.changed)}
    for head, text in {**about, "ranked beside": definition.rank}.items():
        if text:
            console.print(f"{head}: {text}")
    view, footnotes = _empty_table("row", "id", "what sets it apart", "reported", "notes"), list[str]()
    for line in definition.lines:
        marks = [_footnote_mark(note, footnotes) for note in _footnotes(line)]
        id_ = line.id[:8] if line.id else "-"
        view.add_row(Text(line.label), id_, Text(line.name), _reported(line), " ".join([*line.flags, *marks]))
    console.print(view)
    for n, note in enumerate(footnotes, 1):
        console.print(f"[{n}] {note}")
    for note in definition.notes:
        console.print(note)
    console.print(f"run it: {definition.command}")
    return 0


def _footnotes(line: Line) -> list[str]:
    return [*line.notes, *([f"cannot be run yet: {line.lacks}"] if line.lacks else [])]


def _footnote_mark(note: str, footnotes: list[str]) -> str:
    """The number of a footnote, which is added if it is new."""
    if note not in footnotes:
        footnotes.append(note)
    return f"[{footnotes.index(note) + 1}]"


def _reported(line: Line) -> str:
    return ", ".join(f"{metric} {'/'.join(f'{v:g}' for v in values)}" for metric, values in line.reported.items())


def _empty_table(*heads: str) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        view.add_column(head, overflow="fold")
    return view
