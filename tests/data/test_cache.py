"""The cache: made once, verified, rebuilt when damaged, done without when it cannot be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ablation.data._cache import Array, Chunks, Recipe, cached, stamp
from ablation.errors import DataError
from ablation.store.cache import directory

_WHOLE = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)


def _maker(made: list[int]) -> Callable[[], Recipe]:
    def make() -> Recipe:
        meta: dict[str, object] = {}

        def parts() -> Iterator[Array]:
            yield from (_WHOLE[:7], _WHOLE[7:])
            meta["seen"] = "all"

        made.append(1)
        return Recipe({"x": Chunks(_WHOLE.shape, "|u1", parts)}, meta)

    return make


@pytest.mark.parametrize("memory", [True, False])
def test_made_once(cache: Path, memory: bool) -> None:
    made: list[int] = []
    first, second = cached(None, "a", _maker(made), memory), cached(None, "a", _maker(made), memory)
    assert len(made) == 1
    assert isinstance(second.arrays["x"], np.memmap) is not memory
    assert np.array_equal(first.arrays["x"], _WHOLE)
    assert np.array_equal(second.arrays["x"], _WHOLE)
    assert second.meta == {"seen": "all"}
    assert first.digest == second.digest
    assert sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock")) == ["a"]


def test_both_ways_of_reading_have_one_digest() -> None:
    assert cached(None, "a", _maker([]), memory=True).digest == cached(None, "a", _maker([]), memory=False).digest


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def _flip(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize(("name", "damage"), [("x.npy", _cut), ("x.npy", Path.unlink), ("entry.json", _cut)])
def test_damage_is_repaired(cache: Path, name: str, damage: Callable[[Path], None], memory: bool) -> None:
    made: list[int] = []
    cached(None, "a", _maker(made), memory)
    damage(cache / "a" / name)
    with pytest.warns(UserWarning, match="damaged"):
        again = cached(None, "a", _maker(made), memory)
    assert len(made) == 2
    assert np.array_equal(again.arrays["x"], _WHOLE)
    cached(None, "a", _maker(made), memory)
    assert len(made) == 2


def test_a_flipped_bit_is_noticed(cache: Path) -> None:
    cached(None, "a", _maker([]))
    _flip(cache / "a" / "x.npy")
    with pytest.warns(UserWarning, match="SHA-256"):
        again = cached(None, "a", _maker([]))
    assert np.array_equal(again.arrays["x"], _WHOLE)


@pytest.mark.parametrize("memory", [True, False])
def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, memory: bool) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"no cache in .*data\.cache"):
        entry = cached(str(tmp_path / "file" / "cache"), "a", _maker([]), memory)
    assert np.array_equal(entry.arrays["x"], _WHOLE)
    assert entry.meta == {"seen": "all"}
    assert entry.digest == cached(None, "a", _maker([])).digest


def test_a_failure_leaves_nothing_behind(cache: Path) -> None:
    def fail() -> Iterator[Array]:
        yield _WHOLE[:7]
        raise DataError("broken image")

    with pytest.raises(DataError, match="broken image"):
        cached(None, "a", lambda: Recipe({"x": Chunks(_WHOLE.shape, "|u1", fail)}, {}))
    assert [p.name for p in cache.iterdir() if not p.name.endswith(".lock")] == []


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATION_CACHE", "/elsewhere")
    assert directory("/here") == Path("/here")
    assert directory(None) == Path("/elsewhere")
    monkeypatch.delenv("ABLATION_CACHE")
    assert directory(None) == Path.home() / ".cache" / "ablation"


def test_a_stamp_changes_with_name_size_time_and_the_rest(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    stamps = [stamp([file], 1), stamp([file], 2)]
    os.utime(file, ns=(1, 1))
    stamps.append(stamp([file], 1))
    file.write_text("three")
    os.utime(file, ns=(1, 1))
    stamps.append(stamp([file], 1))
    file.rename(other)
    stamps.append(stamp([other], 1))
    assert len(set(stamps)) == 5
    assert stamp([other], 1) == stamps[-1]


def test_trials_that_start_together_decode_once() -> None:
    made: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: cached(None, "a", _maker(made)), range(8)))
    assert len(made) == 1
    assert all(np.array_equal(entry.arrays["x"], _WHOLE) for entry in entries)
