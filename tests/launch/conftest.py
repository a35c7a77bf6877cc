"""Four small trials that nobody disturbs, and a place to disturb the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.launch.shells")

from tests.launch import shells  # noqa: E402


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trials of `Place.sweep`, trained in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAKE", str(folder))
        patch.syspath_prepend(str(shells.MINE))
        shells.train_undisturbed(folder / "out")
    return folder / "out"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[shells.Place]:
    """Empty; steps are slow."""
    made = shells.Place(tmp_path)
    made.slow()
    yield made
    made.close()
