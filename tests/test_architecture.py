"""The plan of the house, read from the imports: rooms, their order, no circles, and what fits into a folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ablation", "results", "launch")
SOURCES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if not path.is_relative_to(ROOT / "results" / "runs")  # copies of code live there
)
TRICKS = ("aug", "data", "init", "loss", "model", "optim", "regularizer", "sched")  # one file a trick, however many
MOST_FILES, MOST_LINES = 16, 300  # in a folder, without its __init__.py; in a file

# From the ground up. A room imports only what stands on floors below it, and what is in itself. A folder is a room; of
# the files that lie at a package's root each is one, but the loop of ablation, which is one room of several files. Only
# network.py, which lies beside the loop, stands with the contract, by which what it builds is tried.
FLOORS = [
    ["ablation/errors"],
    ["ablation/machine"],
    ["ablation/store"],
    ["ablation/source", "ablation/loop"],
    ["ablation/tricks"],
    ["ablation/contract"],
    ["ablation/track"],
    ["ablation/trial"],
    ["results/stats", "results/trackers"],
    ["results/tables"],
    ["results/render"],
    ["results/plots", "results/blocks"],
    ["results/page"],
    ["results/read", "results/lr_finder"],
    ["launch/compose"],
    ["launch/sweep"],
    ["launch/status", "launch/tables"],
    ["launch/checks", "launch/backends"],
    ["launch/terminal"],
    ["launch/workers"],
    ["launch/slurm"],
    ["launch/plan", "launch/one_arm", "launch/multirun"],
    ["launch/run"],
    ["launch/cli", "launch/hydra_plugins"],
    ["launch/__main__"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def name(path: Path) -> str:
    """Of a module: `launch.compose.arm`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name(path): path for path in SOURCES}


def room(module: str) -> str | None:
    """The room that a module stands in; None for the packages themselves."""
    package, *rest = module.split(".")
    if not rest:
        return None
    if (ROOT / package / rest[0]).is_dir():
        return f"{package}/tricks" if package == "ablation" and rest[0] in TRICKS else f"{package}/{rest[0]}"
    if package == "ablation":
        return {"errors": "ablation/errors", "network": "ablation/contract"}.get(rest[0], "ablation/loop")
    return f"{package}/{rest[0]}"


def named(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it: of modules, or of what is in them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imported(module: str) -> frozenset[str]:
    """The project's modules that a module imports."""
    found = set()
    for text in named(MODULES[module]):
        while text and text not in MODULES:
            text = text.rpartition(".")[0]
        found.add(text)
    return frozenset(found - {"", module})


def test_a_module_imports_only_what_stands_below_it() -> None:
    rooms = {module: room(module) for module in MODULES}
    new = {here for here in rooms.values() if here is not None} - FLOOR.keys()
    assert not new, "a new room: say in FLOORS what it stands on"
    up = {
        (module, other)
        for module, here in rooms.items()
        for other in imported(module)
        if here is not None and rooms[other] not in (None, here) and FLOOR[rooms[other]] >= FLOOR[here]
    }
    assert not up, "the first of each imports the second, which stands beside or above it"


def test_no_two_files_import_each_other() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle of imports: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for other in imported(module):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_no_plan_without_a_house() -> None:
    """Rooms that are gone leave the list."""
    assert set(FLOOR) == {found for module in MODULES if (found := room(module))}


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_is_a_room_that_can_be_overlooked(folder: Path) -> None:
    """And says at its door what it is for."""
    files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert folder.relative_to(ROOT).parts[:2][-1] in TRICKS or len(files) <= MOST_FILES
    if folder.name != "hydra_plugins":  # Hydra wants it to be a namespace
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_a_file_is_read_in_one_sitting() -> None:
    long = [path for path in SOURCES if len(path.read_text().splitlines()) > MOST_LINES]
    assert not long, "a file holds one concept"
    assert not [path for path in SOURCES if "hasattr(" in path.read_text()]


FOREIGN = {  # what only rooms above know
    "ablation": {"hydra", "omegaconf", "submitit"},
    "results": {"hydra", "omegaconf", "submitit", "torch"},
    "launch": {"torch"},
}


def test_a_package_knows_only_its_own_libraries() -> None:
    foreign = {
        (module, library)
        for module, path in MODULES.items()
        for library in {text.partition(".")[0] for text in named(path)} & FOREIGN[module.partition(".")[0]]
    }
    assert not foreign


def test_nothing_is_re_exported() -> None:
    for path in ROOT.glob("ablation/**/__init__.py"):
        assert not [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ImportFrom)], path
