"""Notes whose tables are made from runs: what stands between their markers, now and as the runs would have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.errors import AblationError, ConfigError
from ablation.store.atomic import write_atomic
from launch.tables import evidence
from results.blocks import markers
from results.blocks.markers import Block

if TYPE_CHECKING:
    import pandas as pd

    from results.tables.definition import Definition
    from results.tables.table import Table

NOTES = evidence.EVIDENCE.parent / "notes"
Arguments = tuple[str, ...]  # a table's name, then overrides


@dataclass(frozen=True)
class Note:
    """A Markdown file."""

    path: Path
    name: str  # as messages call it
    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class FilledNote:
    """A note and what the runs put into each of its blocks."""

    note: Note
    bodies: tuple[str, ...]

    @property
    def changed(self) -> list[Block]:
        """The blocks that say something else now."""
        return [block for block, body in zip(self.note.blocks, self.bodies, strict=True) if block.body != body]

    @property
    def changed_with_reasons(self) -> list[tuple[Block, list[str]]]:
        """The same blocks, with the reasons."""
        from results.blocks.staleness import reasons

        pairs = zip(self.note.blocks, self.bodies, strict=True)
        return [(block, reasons(block.body, body)) for block, body in pairs if block.body != body]

    def write(self) -> None:
        """Put the bodies into the file, if that changes it.

        Raises:
            AblationError: somebody has changed the file since it was read.
        """
        if self.changed:
            if self.note.path.read_bytes().decode() != self.note.text:
                raise AblationError(f"{self.note.name}: was changed while it was filled; run it again")
            text = markers.replace(self.note.text, self.note.blocks, self.bodies)
            write_atomic(self.note.path.resolve(), text.encode())


def fill(paths: Sequence[Path], uri: str) -> list[FilledNote]:
    """Read notes, and make their blocks from the runs of a tracker, which gets the committed evidence if it lacks it.

    Nothing is written to the notes.

    Raises:
        ConfigError: a marker is wrong, or names no table or line; names the note's file and the line.
        AblationError: the tracker cannot be reached.
    """
    notes = [_read_note(path) for path in paths]
    definitions = _define(notes)
    tables = _build(definitions, _runs(uri, definitions.values()))
    return [FilledNote(note, tuple(_body(note, block, tables) for block in note.blocks)) for note in notes]


def _read_note(path: Path) -> Note:
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as e:
        raise ConfigError(f"{name}: is no text in UTF-8: {e}") from e
    return Note(path, name, text, tuple(markers.parse(text, name)))


def _blocks(notes: Iterable[Note]) -> Iterator[tuple[Note, Block]]:
    return ((note, block) for note in notes for block in note.blocks)


def _define(notes: Sequence[Note]) -> dict[Arguments, Definition]:
    """Each table that a marker names, once. All rows are composed together, since much of that is the same for all."""
    from launch.compose.hydra_version import running
    from launch.compose.overrides import search_paths
    from launch.tables.definition import build_definition, compositions
    from launch.tables.request import parse_request

    places = {block.arguments: f"{note.name}:{block.line}" for note, block in reversed([*_blocks(notes)])}
    requests, definitions = {}, {}
    with running():
        for arguments, place in places.items():
            with _at(place, arguments):
                requests[arguments] = parse_request(_command_line(arguments))
        for path in {tuple(search_paths(each.hydra)) for each in requests.values()}:
            theirs = {
                arguments: each for arguments, each in requests.items() if tuple(search_paths(each.hydra)) == path
            }
            composed = iter(compositions([row for each in theirs.values() for row in each.rows], path))
            for arguments, each in theirs.items():
                with _at(places[arguments], arguments):
                    definitions[arguments] = build_definition(each, [*islice(composed, len(each.rows))])
                    _check_typed(arguments, definitions[arguments])
    return definitions


def _check_typed(arguments: Arguments, made: Definition) -> None:
    """Refuse overrides with which no row of the table can be composed, if without them some can: a typing error."""
    from launch.tables.definition import define

    typed = {text.partition("=")[0].lstrip("+~") for text in arguments[1:]}
    if any(line.id or not any(key in line.lacks for key in typed) for line in made.lines):
        return
    if any(line.id for line in define(_command_line(arguments[:1])).lines):
        why = "; ".join(dict.fromkeys(line.lacks for line in made.lines))
        raise ConfigError(f"with {' '.join(arguments[1:])} no row of {arguments[0]} can be composed: {why}")


def _command_line(arguments: Arguments) -> list[str]:
    return [f"table={arguments[0]}", *arguments[1:]]


@contextmanager
def _at(place: str, arguments: Arguments) -> Iterator[None]:
    """Put the note's file and line before what is wrong with its marker."""
    from hydra.errors import HydraException

    from launch.compose.errors import message

    try:
        yield
    except (ConfigError, HydraException) as e:
        raise ConfigError(f"{place}: {message(e, _command_line(arguments))}") from e


def _runs(uri: str, definitions: Iterable[Definition]) -> pd.DataFrame:
    """All runs of all lines."""
    from results.read import runs

    ids = {line.id for each in definitions for line in each.lines if line.id}
    evidence.upload_missing(uri, ids)
    return runs(uri, ids=ids)


def _build(definitions: dict[Arguments, Definition], frame: pd.DataFrame) -> dict[Arguments, Table]:
    from results.tables.table import build

    return {arguments: build(definition, frame) for arguments, definition in definitions.items()}


def _body(note: Note, block: Block, tables: dict[Arguments, Table]) -> str:
    from results.blocks.finding import sentence
    from results.blocks.staleness import comment
    from results.render.markdown import render

    table = tables[block.arguments]
    if block.kind == markers.TABLE:
        return f"\n{render(table).strip()}\n\n{comment(table)}\n"
    with _at(f"{note.name}:{block.line}", block.arguments):
        return sentence(table, block.label)
