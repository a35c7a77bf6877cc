"""Markers in a Markdown note; what stands between them is generated from runs. Pure text: nothing here reads runs.

    <!-- table: lab/eta epochs=20 seeds=3 -->            a table of conf/table, at a budget of one's own
    <!-- end table -->
    We saw <!-- finding: lab/eta epochs=20 seeds=3 | eta 1e-4 -->a sentence<!-- end finding -->.

Markers inside a fenced block, or right behind a backtick, are examples.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ablation.errors import ConfigError

TABLE, FINDING = "table", "finding"
_KINDS = (TABLE, FINDING)
_COMMENT = re.compile(r"(?<!`)<!--(.*?)-->")
_WORDS = re.compile(r"\s*(end\b)?\s*([A-Za-z]*)\s*(:?)\s*(.*?)\s*$")
_FENCE = re.compile(r" {0,3}(`{3,}(?!.*`)|~{3,})")
_TORN = re.compile(rf"(?<!`)<!--\s*(end\s+)?({'|'.join(_KINDS)})\b(?!.*-->)")


@dataclass(frozen=True)
class Block:
    """What a pair of markers asks for, and what stands between them."""

    kind: str  # table or finding
    arguments: tuple[str, ...]  # the table's name, then overrides
    label: str  # of the row that a finding is about; empty for tables
    line: int  # of the first marker, from 1
    start: int  # of what stands between, in characters of the note
    end: int
    body: str

    @property
    def name(self) -> str:
        """As the note says it."""
        said = f"{self.kind}: {shlex.join(self.arguments)}"
        return f"{said} | {self.label}" if self.label else said


@dataclass(frozen=True)
class _Marker:
    end: bool
    kind: str
    rest: str  # behind the colon
    line: int
    start: int  # of the comment
    stop: int
    alone: bool  # on its line


def parse(text: str, name: str) -> list[Block]:
    """The blocks of a note, in order. `name` is that of its file, for messages.

    Raises:
        ConfigError: a marker is unknown, torn, nested, without its partner, or names nothing.
    """
    blocks: list[Block] = []
    opened: _Marker | None = None
    for marker in _markers(text, name):
        where = f"{name}:{marker.line}"
        if not marker.end:
            if opened:
                raise ConfigError(
                    f"{where}: a {marker.kind} begins inside the {opened.kind} of line {opened.line}; "
                    f"write <!-- end {opened.kind} --> before it"
                )
            opened = marker
        elif opened is None:
            raise ConfigError(
                f"{where}: a {marker.kind} ends that has not begun; write <!-- {marker.kind}: NAME --> before it"
            )
        elif opened.kind != marker.kind:
            raise ConfigError(
                f"{where}: a {marker.kind} ends, but line {opened.line} began a {opened.kind}; "
                f"write <!-- end {opened.kind} -->"
            )
        else:
            blocks.append(_block(text, opened, marker, name))
            opened = None
    if opened:
        raise ConfigError(
            f"{name}:{opened.line}: the {opened.kind} that begins here does not end; write <!-- end {opened.kind} --> "
            "where what is generated shall stop"
        )
    return blocks


def replace(text: str, blocks: Sequence[Block], bodies: Sequence[str]) -> str:
    """The note with other bodies for all of its blocks; not a character outside them is changed."""
    for block, body in sorted(zip(blocks, bodies, strict=True), key=lambda pair: -pair[0].start):
        text = text[: block.start] + body + text[block.end :]
    return text


def _block(text: str, opened: _Marker, closed: _Marker, name: str) -> Block:
    where = f"{name}:{opened.line}"
    asked, _, label = opened.rest.partition(" | ") if opened.kind == FINDING else (opened.rest, "", "")
    try:
        arguments = tuple(shlex.split(asked))
    except ValueError as e:
        raise ConfigError(f"{where}: {opened.kind}: {asked}: {e}") from e
    if not arguments or "=" in arguments[0]:
        raise ConfigError(f"{where}: names no table; write <!-- {opened.kind}: lab/eta epochs=20 ... -->")
    if opened.kind == FINDING and not label.strip():
        raise ConfigError(f"{where}: names no row of the table; write <!-- finding: {asked.strip()} | LABEL -->")
    start, end = opened.stop, closed.start
    if opened.kind == TABLE:
        if not (opened.alone and closed.alone):
            raise ConfigError(f"{where}: the markers of a table have to stand alone on their lines")
        start = text.index("\n", opened.stop) + 1
    return Block(opened.kind, arguments, label.strip(), opened.line, start, end, text[start:end])


def _markers(text: str, name: str) -> Iterator[_Marker]:
    """All markers outside fences. Between the markers of a table there are no fences of the author's."""
    offset, fence, inside = 0, "", False
    for number, line in enumerate(text.split("\n"), 1):
        mark = _FENCE.match(line)
        if mark and not inside and (not fence or (mark[1].startswith(fence) and not line[mark.end() :].strip())):
            fence = "" if fence else mark[1]
        elif not fence:
            if _TORN.search(line):
                raise ConfigError(f"{name}:{number}: a marker has to end on the line on which it begins; write its -->")
            for found in _COMMENT.finditer(line):
                marker = _marker(found, line, number, offset, f"{name}:{number}")
                if marker:
                    inside = not marker.end and marker.kind == TABLE
                    yield marker
        offset += len(line) + 1


def _marker(found: re.Match[str], line: str, number: int, offset: int, where: str) -> _Marker | None:
    """A comment as a marker; None for a comment of the author's own."""
    words = _WORDS.match(found[1])
    if words is None:
        return None
    end, kind, colon, rest = bool(words[1]), words[2], words[3], words[4]
    if end and not kind:
        raise ConfigError(f"{where}: it is not said what ends; write <!-- end table --> or <!-- end finding -->")
    if kind not in _KINDS:
        if close := get_close_matches(kind.lower(), _KINDS, n=1, cutoff=0.75):
            raise ConfigError(f"{where}: {kind}: no such marker; did you mean {close[0]}?")
        return None
    if end and (colon or rest):
        raise ConfigError(f"{where}: there is more in it than the end; write <!-- end {kind} -->")
    if not end and not colon:
        raise ConfigError(f"{where}: the colon is missing; write <!-- {kind}: NAME ... -->")
    alone = line.strip() == found[0]
    return _Marker(end, kind, rest, number, offset + found.start(), offset + found.end(), alone)
