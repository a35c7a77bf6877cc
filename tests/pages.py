"""The generated blocks of docs/: what conf/ and the factories' docstrings say of each option. Run it to fill them.

    <!-- options: aug -->                    every option of the group conf/aug
    <!-- options: model resnet_cifar -->     these of them, each with the presets that begin with it
    <!-- end options -->

`python tests/pages.py` writes what stands between the markers; tests/test_docs.py fails when that is out of date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- options: (\S+)((?: \S+)*) -->\n).*?(?=<!-- end options -->)", re.DOTALL)
MANY = ("init", "aug", "regularizer", "track")  # groups of which several options may be chosen: keys have their names
TITLES = ("recipe", "table")  # groups whose options are described in a line each
HIDDEN = ("_target_", "_convert_", "defaults", "hydra", "run", "backend")


class Key(NamedTuple):
    """A line of a YAML: a key, its default and its comments."""

    path: tuple[str, ...]
    value: str  # empty: a mapping, whose keys follow
    comment: str


class Option(NamedTuple):
    """A YAML of a group."""

    group: str
    name: str
    about: str  # the comment at its head
    keys: list[Key]
    parent: str | None  # the option that it begins with
    target: str | None  # its factory


@cache
def read(group: str, name: str) -> Option:
    """conf/GROUP/NAME.yaml, without what it has from the option that it begins with."""
    text = (CONF / group / f"{name}.yaml").read_text()
    head = re.match(r"(?:#.*\n)*", text)
    assert head
    about = [line.strip("# ") for line in head[0].splitlines() if "@package" not in line]
    found = yaml.safe_load(text)
    first = found.get("defaults", [None])[0]
    target = re.search(r"_target_: (\S+)", text)
    parent = first if isinstance(first, str) and not first.startswith("_") else None
    return Option(group, name, " ".join(about), list(_keys(text[head.end() :])), parent, target and target[1])


def _keys(text: str) -> Iterator[Key]:
    above: list[str] = []  # comment lines before a key
    path: list[tuple[int, str]] = []  # with its indents
    for line in text.splitlines():
        found = re.match(r"( *)([\w.]+):(?: +([^#\s](?:.*?[^ ])??))?(?:  +# (.*))?$", line)
        if line.lstrip().startswith("#"):
            above.append(line.strip("# "))
        elif found:
            path = [*(p for p in path if p[0] < len(found[1])), (len(found[1]), found[2])]
            if path[0][1] not in HIDDEN and found[2] not in HIDDEN:
                said = ". ".join(filter(None, [" ".join(above).removesuffix("."), found[4]]))
                yield Key(tuple(name for _, name in path), found[3] or "", said)
            above = []


@cache
def docstring(target: str) -> str:
    """Of a factory of ours, without the errors, a paragraph a line."""
    module, _, function = target.rpartition(".")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    [node] = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == function]
    paragraphs = (ast.get_docstring(node) or "").split("\n\n")
    return "\n\n".join(escaped(" ".join(p.split())) for p in paragraphs if not p.startswith(("Raises:", "Args:")))


def escaped(text: str) -> str:
    """Text that Markdown takes literally, but for what stands in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"(\*|<|\b_(?!\w)|(?<!\w)_)", r"\\\1", p) for p in parts)


def names(group: str) -> list[str]:
    """The options of a group."""
    paths = (CONF / group).rglob("[!_]*.yaml")
    return sorted(path.relative_to(CONF / group).with_suffix("").as_posix() for path in paths)


def base(option: Option) -> Option:
    """The option that has the factory."""
    return option if option.parent is None else base(read(option.group, option.parent))


def block(group: str, chosen: list[str]) -> str:
    """What stands between the markers."""
    if group.endswith(".yaml"):
        return "\n".join(_table([*read("", group.removesuffix(".yaml")).keys], "")) + "\n"
    if group in TITLES:
        return "\n".join(["| | |", "|---|---|", *(_title(group, name) for name in names(group))]) + "\n"
    if "/" in group:
        return "\n".join(_settings(group, chosen)).strip("\n") + "\n"
    found = [read(group, name) for name in names(group)]
    heads = [o for o in found if o.parent is None and (not chosen or o.name in chosen)]
    heads.sort(key=lambda o: chosen.index(o.name) if chosen else 0)
    return "\n".join(line for head in heads for line in _section(head, found)).strip("\n") + "\n"


def _title(group: str, name: str) -> str:
    if group == "table":
        return _row(f"`table={name}`", str(yaml.safe_load((CONF / group / f"{name}.yaml").read_text())["title"]))
    return _row(f"`{group}={name}`", read(group, name).about)


def _settings(group: str, chosen: list[str]) -> Iterator[str]:
    """Of launchers and sweepers: their own keys, under `hydra`."""
    for name in chosen:
        option = read(group, name)
        yield from ["", *filter(None, [escaped(option.about)]), ""]
        yield from _table(option.keys, group.replace("/", ".") + ".")
        yield ""


def _section(option: Option, group: list[Option]) -> Iterator[str]:
    assert option.target
    own = [o for o in group if o.target == option.target]
    teller = next((o for o in own if o.target and o.name == o.target.rpartition(".")[2]), own[0])
    link = f"[{option.target}](../{option.target.rpartition('.')[0].replace('.', '/')}.py)"
    yield from [f"### {option.group}={option.name}", ""]
    yield from [escaped(option.about), ""] if option.about else []
    other = f"What it computes is told under [{teller.group}={teller.name}](#{teller.group}{teller.name})."
    yield from [docstring(option.target) if teller == option else other, "", f"The factory is {link}.", ""]
    yield from _table(option.keys, f"{option.group}." if option.group else "")
    presets = [o for o in group if o.parent and base(o) == option]
    if presets:
        yield from ["", "| preset | sets | |", "|---|---|---|"]
        yield from (_row(f"`{o.group}={o.name}`", _code(_set(o)), o.about) for o in presets)
    yield ""


def _set(option: Option) -> str:
    """What a preset sets, with what those before it do."""
    values: dict[str, str] = {}
    while option.parent is not None:
        values = {**{".".join(k.path): k.value for k in option.keys}, **values}
        option = read(option.group, option.parent)
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _table(keys: list[Key], prefix: str) -> Iterator[str]:
    parents = {k.path[:-1] for k in keys}
    shown = [k for k in keys if k.path not in parents and k.path[0] not in MANY]
    told = {k.path: k.comment for k in keys}
    if shown:
        yield from ["| key | default | |", "|---|---|---|"]
    for key in shown:
        above = [told.get(key.path[:n], "") for n in range(1, len(key.path))] if key is _first(shown, key) else []
        yield _row(f"`{prefix}{'.'.join(key.path)}`", _code(key.value), ". ".join(filter(None, [*above, key.comment])))


def _first(keys: list[Key], key: Key) -> Key:
    """The first of those in the same mapping."""
    return next(k for k in keys if k.path[:-1] == key.path[:-1])


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _row(*cells: str) -> str:
    texts = (cell if cell.startswith("`") else escaped(cell) for cell in cells)
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def filled(text: str) -> str:
    """A page with its blocks as conf/ and the docstrings have them."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{block(found[2], found[3].split())}\n", text)


def code(page: str, language: str) -> list[str]:
    """What stands in the fenced blocks of a page of docs/."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found, page
    return found


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(filled(page.read_text()))
