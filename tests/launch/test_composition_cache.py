"""What is kept of a composition is what Hydra composes, and goes with the files that it was made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ablation.store import cache
from ablation.store.cache import digest
from launch.compose import composer as composing
from launch.compose import composition_cache
from launch.compose.composer import Composer
from launch.compose.hydra_version import initialized
from launch.compose.paths import ROOT

ROW = ["aug=[cutout,mixup]", "optim.lr=0.3"]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where compositions are kept."""
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "cache"))
    with initialized():
        yield tmp_path / "cache" / "compositions"


def composed(*search: str) -> object:
    """As a new process would."""
    found = Composer(search)(ROW)
    return OmegaConf.to_container(found.config), found.choices


def never(*_: object, **__: object) -> None:
    raise AssertionError("was composed again")


def test_it_is_composed_once_for_all_processes(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = composed()
    assert len([*kept.glob("*/*")]) == 1  # values are no choices, and need no file of their own
    monkeypatch.setattr(composing, "compose", never)
    assert composed() == first


@pytest.mark.parametrize("damage", ["emptied", "cut off", "zeros", "another bit"])
def test_a_damaged_file_is_as_good_as_none(kept: Path, damage: str) -> None:
    first = composed()
    (file,) = kept.glob("*/*")
    whole = file.read_bytes()
    changed = {
        "emptied": b"",
        "cut off": whole[:-9],
        "zeros": whole[:200] + bytes(64) + whole[264:],
        "another bit": whole[:900] + bytes([whole[900] ^ 4]) + whole[901:],
    }[damage]
    file.write_bytes(changed)
    assert composed() == first
    assert file.read_bytes() == whole


def test_nothing_is_kept_of_folders_of_ones_own(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "aug").mkdir()
    composed(f"hydra.searchpath=[file://{tmp_path}]")
    assert not kept.exists()


def test_where_nothing_can_be_written_it_is_composed(kept: Path) -> None:
    kept.parent.write_text("a file, where a folder should be")
    assert composed() == composed()


def test_another_users_file_is_not_read(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(composing, "compose", never)
    with pytest.raises(AssertionError, match="composed again"):
        composed()


def test_a_choice_by_the_environment_is_made_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("adam", "sgd"):
        monkeypatch.setenv("OPTIM", name)
        assert Composer()(["optim=${oc.env:OPTIM}"]).choices["optim"] == name


def test_what_was_composed_while_a_file_was_edited_is_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composer = Composer()
    monkeypatch.setattr(composition_cache, "_folder", lambda: kept / "another")
    composer(ROW)
    assert not kept.exists()


def test_options_behind_a_link_to_a_folder_count(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.yaml").write_text("epochs: 3")
    (tmp_path / "mine" / "round").symlink_to(tmp_path / "mine")
    (tmp_path / "conf" / "link").symlink_to(tmp_path / "mine")
    before = digest(tmp_path / "conf", ".yaml")
    (tmp_path / "mine" / "a.yaml").write_text("epochs: 7")
    assert digest(tmp_path / "conf", ".yaml") != before


@pytest.mark.parametrize(
    ("entry", "depends"),
    [
        ("\n  - override /optim: ${oc.env:OPTIM}", True),
        (" [{override /optim: '${oc.env:OPTIM}'}]", True),
        ("\n  -\n    override /optim: ${oc.env:OPTIM}", True),
        ("\n  - override /optim: >-\n      ${oc.env:OPTIM}", True),
        (" [a]", False),
    ],
)
def test_a_defaults_list_that_asks_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, depends: bool
) -> None:
    (tmp_path / "mine.yaml").write_text(f"defaults:{entry}\nout: ${{oc.env:OUT}}\n")
    monkeypatch.setattr(composition_cache, "CONF", tmp_path)
    assert composition_cache._defaults_depend() == depends


def test_what_time_it_was_is_not_kept(kept: Path) -> None:
    composed()
    (file,) = kept.glob("*/*")
    assert str(datetime.now().year).encode() not in file.read_bytes()


def test_an_edited_option_counts_at_once(kept: Path, tmp_path: Path) -> None:
    for folder in ("ablation", "conf", "launch", "results"):
        shutil.copytree(ROOT / folder, tmp_path / "code" / folder, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    line = [sys.executable, "launch/run.py", "-m", "aug=cutout", "hydra/launcher=plan", f"out={tmp_path}/runs"]

    def plan() -> str:
        env = {**os.environ, "PYTHONPATH": str(tmp_path / "code")}
        done = subprocess.run(line, cwd=tmp_path / "code", env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = plan()
    assert plan() == before
    option = tmp_path / "code" / "conf" / "sched" / "multistep.yaml"
    option.write_text(option.read_text() + "\n# edited\n")
    assert plan() == before
    assert len([*kept.iterdir()]) == 2
    option = tmp_path / "code" / "conf" / "config.yaml"
    option.write_text(option.read_text().replace("epochs: 20 ", "epochs: 21 "))
    assert plan() != before  # another id


def test_a_digest_is_of_places_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    first = digest(tmp_path, ".yaml")
    (tmp_path / "a.py").write_text("1")
    assert digest(tmp_path, ".yaml") == first != digest(tmp_path, ".yaml", "another version")
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    second = digest(tmp_path, ".yaml")
    (tmp_path / "b.yaml").write_text("2")
    assert len({first, second, digest(tmp_path, ".yaml")}) == 3


def test_old_entries_are_forgotten(tmp_path: Path) -> None:
    for n in range(cache._NEWEST + 5):
        made = tmp_path / str(n)
        made.mkdir() if n % 2 else made.touch()
        os.utime(made, (n, n))
    cache.forget_old(tmp_path)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [*range(5, cache._NEWEST + 5)]
