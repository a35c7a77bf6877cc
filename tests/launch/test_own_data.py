"""A run on images of one's own is known by what they are: the same command on other images is another run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import yaml
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError, DataError
from ablation.store.identity import identify
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.one_arm import run_arm
from launch.plan import make_plan
from launch.sweep import submission
from tests.launch.handmade import epoch, finish, make, start
from tests.launch.workshop import Worker

OWN = (*TINY, *SMALL_MODEL, "data=arrays", "data.subset=null", "data.test_subset=null", "epochs=1")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "cache"))


def npz(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    images = {f"x_{part}": rng.integers(0, 256, (n, 8, 8, 3), np.uint8) for part, n in (("train", 16), ("test", 20))}
    np.savez(path, y_train=np.arange(16) % 2, y_test=np.arange(20) % 2, **images)
    return path


def composed(*rows: list[str]) -> list[Planned]:
    with initialized():
        return compose_arms([[*OWN, *row] for row in rows])


def test_one_relative_path_in_two_folders_is_two_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one file by two paths is one run; editing a file makes another one, never a finished one."""
    out = tmp_path / "out"

    def run(folder: str) -> str:
        monkeypatch.chdir(tmp_path / folder)
        (arm,) = composed(["data.path=d.npz", f"out={out}"])
        run_arm(arm, Event())
        return capsys.readouterr().out

    for seed, folder in enumerate(("a", "b")):
        npz(tmp_path / folder / "d.npz", seed)
        assert "epoch 1/1" in run(folder)
    assert len(list(out.glob("*/seed-0/result.json"))) == 2
    npz(tmp_path / "c" / "d.npz", 1)
    said = run("c")
    assert "epoch 1/1" not in said, "these images were trained on before"
    assert "s ago; nothing was run" in said
    npz(tmp_path / "a" / "d.npz", 3)
    said = run("a")
    assert "epoch 1/1" in said
    assert "data.content was sha256:" in said, "the same command gave another run before"
    assert len(list(out.glob("*/seed-0/result.json"))) == 3


def test_the_path_is_a_surrounding_and_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    npz(tmp_path / "d.npz", 1)
    npz(tmp_path / "copy.npz", 1)
    typed, absolute, copied = (["data.path=d.npz"], [f"data.path={tmp_path}/d.npz"], ["data.path=copy.npz"])
    (arm,) = composed(typed, absolute, copied)
    assert arm.config["data"]["path"] == str(tmp_path / "d.npz")
    assert arm.arm.params["data.path"] == str(tmp_path / "d.npz")
    assert arm.arm.params["data.content"] == arm.config["data"]["content"]
    assert "data.path=d.npz" in arm.arm.name
    assert any("is the same arm as" in note for note in arm.notes)


def test_a_run_from_before_is_told_apart_by_words(tmp_path: Path) -> None:
    """Its stored configuration has a path and no digest, and still gives its id."""
    file = npz(tmp_path / "d.npz", 1)
    (now,) = composed([f"data.path={file}", f"out={tmp_path / 'out'}"])
    data = {k: v for k, v in now.config["data"].items() if k != "content"}
    before = {**now.config, "data": data}
    folder = tmp_path / "out" / identify(before, rules())
    assert folder.name != now.arm.id
    replace(now.arm, id=folder.name).write(folder, before)
    make(folder / "seed-0", 1, start(), epoch(1))
    finish(folder / "seed-0")
    (arm,) = make_plan([now], "x").arms
    assert str(arm.stale) == "its images were known by their path only, and are now known by their content"
    student = composed([f"data.path={file}", f"out={tmp_path / 'out'}", "loss=distill", f"teacher={folder.name}"])
    assert student[0].arm.id == folder.name


def test_images_that_are_not_here_compose_and_do_not_run(tmp_path: Path) -> None:
    (arm,) = composed(["data.path=your/d.npz", f"out={tmp_path}"])
    assert arm.arm.id == composed(["data.path=your/d.npz", f"out={tmp_path}"])[0].arm.id
    assert any(note.startswith("data.path=your/d.npz: is not here") for note in arm.notes)
    with pytest.raises(DataError, match=r"your/d.npz: no such file"):
        submission.create([arm], {"kind": "local"}, "x")
    assert not list(tmp_path.glob("*/arm.json"))
    file = npz(tmp_path / "d.npz", 1)
    known = composed([f"data.path={file}"])[0]
    digest = known.config["data"]["content"]
    assert composed(["data.path=your/d.npz", f"data.content={digest}"])[0].arm.id == known.arm.id
    with pytest.raises(ConfigError, match=r"data.content=sha256:0000000000000000: data.path=.* holds sha256:"):
        composed([f"data.path={file}", "data.content=sha256:0000000000000000"])


def test_an_image_tree_in_pieces_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "tree" / "train").mkdir(parents=True)
    with pytest.raises(ConfigError, match="has no folder test or val"):
        composed(["data=folder", f"data.path={tmp_path / 'tree'}"])


def test_images_edited_after_the_submission_are_an_error_of_the_trial(tmp_path: Path) -> None:
    file = npz(tmp_path / "d.npz", 1)
    made = submission.create(composed([f"data.path={file}", f"out={tmp_path / 'out'}"]), {"kind": "local"}, "x")
    npz(file, 2)
    with Worker(made) as worker:
        worker.event("ready")
        worker.train(made.works[0])
        (outcome,) = worker.event("end")["outcomes"].values()
    assert (outcome["state"], outcome["cause"]) == ("failed", "config")
    assert f"data.path={file}: holds other images" in outcome["message"]
    assert not list((tmp_path / "out").glob("*/seed-0/result.json"))
    stored = yaml.safe_load((tmp_path / "out" / made.works[0].id / "config.yaml").read_text())
    assert stored["data"]["content"].startswith("sha256:")


def test_a_data_set_that_is_known_by_its_arguments_only_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A factory of one's own that gets no digest cannot tell other images from these."""
    code = "from ablation.data.arrays import arrays\n\ndef load(file):\n    return arrays(file)\n\n"
    code += "def known(path, content=None):\n    return arrays(path, content)\n"
    (tmp_path / "mydata_of_a_user.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    file = npz(tmp_path / "x.npz", 1)
    (tmp_path / "conf/data/mine.yaml").write_text(f"_target_: mydata_of_a_user.load\nfile: {file}\n")
    (tmp_path / "conf/data/told.yaml").write_text(f"_target_: mydata_of_a_user.known\npath: {file}\ncontent: null\n")
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    small = [text for text in (*TINY, *SMALL_MODEL) if not text.startswith("data")]
    with initialized():
        mine, told = compose_arms(
            [[*small, f"data={name}", "epochs=1", f"out={tmp_path}/out"] for name in ("mine", "told")], [search]
        )
    note = "data: mydata_of_a_user.load is identified by its arguments only"
    assert any(text.startswith(note) for text in mine.notes)
    assert told.config["data"]["content"].startswith("sha256:")
    assert not any("arguments only" in text for text in told.notes)
    run_arm(mine, Event())
    said = capsys.readouterr().out
    assert " ".join(said.split()).index("identified by its arguments only") < " ".join(said.split()).index("epoch 1/1")
