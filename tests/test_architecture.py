"""The design's rules that a reader would otherwise have to check by eye."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for floor in ("ablation", "launch", "results")
    for path in (ROOT / floor).rglob("*.py")
    if not path.is_relative_to(ROOT / "results" / "runs")  # copies of code live there
)


def imported(path: Path) -> set[str]:
    """Top-level names of all packages a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_house_rules(path: Path) -> None:
    text = path.read_text()
    if path.is_relative_to(ROOT / "ablation"):
        assert not imported(path) & {"hydra", "omegaconf", "submitit", "launch", "results"}, "floors"
    if path.is_relative_to(ROOT / "results"):
        assert not imported(path) & {"hydra", "omegaconf", "submitit", "launch", "torch"}, "floors"
    assert "hasattr(" not in text
    assert len(text.splitlines()) <= 300, "a file holds one concept and is read in one sitting"


def test_nothing_is_re_exported() -> None:
    for path in ROOT.glob("ablation/**/__init__.py"):
        assert not [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ImportFrom)], path


def test_the_readme_lists_every_option() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "conf").glob("*/[!_]*.yaml"):
        name = path.stem
        family = name.rstrip("0123456789")
        sizes = name.removeprefix(family)
        assert name in readme or (family in readme and f"/{sizes}" in readme), f"{path.parent.name}={name}"


def test_the_readme_counts_the_tables() -> None:
    readme = (ROOT / "README.md").read_text()
    for folder in (path for path in (ROOT / "conf" / "table").iterdir() if path.is_dir()):
        assert f"{folder.name}/* ({len(list(folder.glob('*.yaml')))})" in readme
