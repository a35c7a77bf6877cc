"""Small sets made on the fly, and the real CIFAR-10 where a `shared/data` folder lies beside the repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

_SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing reads or writes the user's own cache."""
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def cifar_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the official cifar-10-batches-py. Not to be written to."""
    unpack = _SHARED / "unpack.py"
    if not unpack.is_file():
        pytest.skip(f"no CIFAR-10: {unpack} is not there, and tests use no network")
    root = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, str(unpack), "cifar10", str(root)], check=True)
    return root


@pytest.fixture
def good() -> Arrays:
    """A valid set: 30 + 12 RGB images of 6x5 in 3 classes."""
    draw = np.random.default_rng(0)
    return {
        "x_train": draw.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8),
        "y_train": np.arange(30) % 3,
        "x_test": draw.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8),
        "y_test": np.arange(12) % 3,
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Arrays], str]:
    """Saves arrays, and returns the path."""

    def save(arrays: Arrays) -> str:
        np.savez(tmp_path / "own.npz", **arrays)  # type: ignore[arg-type]
        return str(tmp_path / "own.npz")

    return save


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures of 20x14 or 14x20: train 3 x (cat, dog), val 2 x (cat, dog)."""
    draw = np.random.default_rng(1)
    for part, count in (("train", 3), ("val", 2)):
        for k, name in enumerate(("cat", "dog")):
            folder = tmp_path / "pets" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                shape = (20, 14, 3) if (i + k) % 2 else (14, 20, 3)
                Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i}.png")
    (tmp_path / "pets" / "train" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "pets"
