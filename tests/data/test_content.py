"""What images of one's own are: their bytes and their names in a tree, wherever they lie, however often asked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablation.data import content
from ablation.data.arrays import arrays
from ablation.data.folder import files, folder
from ablation.errors import DataError


def npz(path: Path, shade: int = 0) -> Path:
    x, y = np.full((4, 8, 8, 3), shade, np.uint8), np.arange(4) % 2
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    return path


def tree(root: Path, shade: int = 0) -> Path:
    for part in ("train", "test"):
        for n, name in enumerate(("ant", "bee")):
            (root / part / name).mkdir(parents=True)
            for k in range(2):
                Image.new("RGB", (8, 8), (shade, n, k)).save(root / part / name / f"{k}.png")
    return root


def old(*paths: Path) -> None:
    """As if last changed long ago; the time of change of a file's entry cannot be set, so the clock is moved on."""
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = content.time.time_ns() + 10**10
    monkeypatch.setattr(content.time, "time_ns", lambda: now)


def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes are read from now on."""
    seen: list[str] = []
    kept = content.hashlib.file_digest

    def spy(raw: object, name: str) -> object:
        seen.append(Path(raw.name).name)  # type: ignore[attr-defined]
        return kept(raw, name)  # type: ignore[arg-type]

    monkeypatch.setattr(content.hashlib, "file_digest", spy)
    return seen


def of(path: Path) -> str:
    return content.digest(path, [path] if path.is_file() else files(path))


def test_the_bytes_count_and_neither_name_nor_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    one, same = npz(tmp_path / "a.npz", 1), npz(tmp_path / "elsewhere" / "b.npz", 1)
    assert of(one) == of(same) != of(npz(tmp_path / "c.npz", 2))
    whole, copy = tree(tmp_path / "one"), tree(tmp_path / "copy")
    assert of(whole) == of(copy) != of(tree(tmp_path / "other", 9))
    (whole / "train" / "notes.txt").write_text("is no image")
    assert of(whole) == of(copy)
    (whole / "train" / "ant" / "0.png").rename(whole / "train" / "bee" / "9.png")
    assert of(whole) != of(copy), "the folder is the label"


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, seen = tree(tmp_path / "tree"), read(monkeypatch)
    later(monkeypatch)
    first = of(root)
    assert len(seen) == 8
    assert of(root) == first
    assert len(seen) == 8, "nothing is read"
    Image.new("RGB", (8, 8), (77, 0, 0)).save(root / "test" / "bee" / "1.png")
    later(monkeypatch)
    assert of(root) != first
    assert seen[8:] == ["1.png"]


def test_a_change_that_leaves_size_and_date_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = npz(tmp_path / "a.npz", 1)
    old(file)
    later(monkeypatch)
    before, size = of(file), file.stat().st_size
    npz(tmp_path / "b.npz", 2).replace(file)
    old(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (size, 10**18)
    assert of(file) != before


def test_a_file_of_this_moment_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one tick of the clock it can be written twice."""
    file, seen = npz(tmp_path / "a.npz"), read(monkeypatch)
    of(file)
    of(file)
    assert seen == ["a.npz"] * 2


def test_without_a_cache_it_is_as_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    file = npz(tmp_path / "a.npz")
    known = of(file)
    cache.rename(tmp_path / "away")
    cache.write_text("in the way")
    assert of(file) == known


def test_other_images_than_were_asked_for_are_refused_by_the_path(tmp_path: Path) -> None:
    file = npz(tmp_path / "a.npz", 1)
    asked = of(file)
    assert arrays(str(file), content=asked).name == "a"
    npz(file, 2)
    with pytest.raises(DataError, match=rf"data\.path={file}: holds other images \(sha256:.*data\.content={asked}"):
        arrays(str(file), content=asked)
    root = tree(tmp_path / "tree")
    asked = of(root)
    assert folder(str(root), content=asked, size=8).name == "tree"
    Image.new("RGB", (8, 8), (5, 5, 5)).save(root / "train" / "ant" / "0.png")
    with pytest.raises(DataError, match=rf"data\.path={root}: holds other images"):
        folder(str(root), content=asked, size=8)


def test_images_that_change_while_they_are_decoded_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    import ablation.data.folder as module

    root, kept = tree(tmp_path / "tree"), module._recipe

    def edited(*arguments: object) -> object:
        Image.new("RGB", (8, 8), (1, 2, 3)).save(root / "train" / "ant" / "0.png")
        return kept(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_recipe", edited)
    with pytest.raises(DataError, match="holds other images"):
        folder(str(root), size=8)
    assert not list(cache.glob("folder-*/entry.json"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.png: cannot be read"):
        content.digest(tmp_path, [tmp_path / "gone.png"])
