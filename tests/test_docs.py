"""README and docs/: generated blocks are fresh, links lead somewhere, verbs exist, and the front door stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pages
import pytest
import yaml

from launch.cli import _VERBS

ROOT = pages.ROOT
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(pages.DOCS.glob("*.md"))]
SHORT = 130  # lines of the README


@pytest.mark.parametrize("page", sorted(pages.DOCS.glob("*.md")), ids=lambda page: page.name)
def test_what_is_generated_is_fresh(page: Path) -> None:
    text = page.read_text()
    assert pages.filled(text) == text, "run: python tests/pages.py"


def test_every_option_is_on_a_page() -> None:
    written = "".join(page.read_text() for page in pages.DOCS.glob("*.md"))
    groups = [path.name for path in pages.CONF.iterdir() if path.is_dir() and path.name != "hydra"]
    for group in groups:
        for name in pages.names(group):
            assert f"### {group}={name}\n" in written or f"| `{group}={name}` |" in written, f"{group}={name}"
    for path in (pages.CONF / "hydra").rglob("*.yaml"):
        for key in yaml.safe_load(path.read_text()).keys() - {"defaults", "_target_", "_convert_", "run", "backend"}:
            assert f"| `hydra.{path.parent.name}.{key}" in written, f"{path.name}: {key}"


def test_every_option_is_there_once() -> None:
    for page in pages.DOCS.glob("*.md"):
        heads = re.findall(r"^#+ .*", page.read_text(), re.MULTILINE)
        assert len(heads) == len(set(heads)), page.name


def test_the_readme_is_short_and_names_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= SHORT
    assert [page.name for page in pages.DOCS.glob("*.md") if f"(docs/{page.name})" not in readme] == []
    assert all(f"<!-- command {letter} -->\n```bash\n" in readme for letter in "AB")


def test_the_tables_are_counted() -> None:
    """Three collections, of which one has `open` besides, and two of ours."""
    told = re.search(r"all (\d+) tables of three collections", (pages.DOCS / "tables.md").read_text())
    assert told
    assert int(told[1]) + 1 + 2 == len(pages.names("table"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", _without_code(page.read_text())):
        name, _, heading = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        assert not heading or heading in _anchors(file.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_exist(page: Path) -> None:
    named = re.findall(r"(?:^|`|&& )ablation ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= set(_VERBS)


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> set[str]:
    """Of headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)", _without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
