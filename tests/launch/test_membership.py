"""Short names for the arms of a sweep, and which sweeps asked for an arm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from launch.compose.naming import short_names
from launch.sweep import upload
from launch.sweep.membership import join, short_names_of
from tests.track.conftest import client, empty_database, uri  # noqa: F401
from tests.track.trials import Training, arms, mlflow_warns, runs, trial

pytestmark = mlflow_warns


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["aug=cutout", "aug=mixup"], ["cutout", "mixup"]),
        (["aug=[],epochs=9", "aug=[cutout,mixup],epochs=9"], ["no aug", "cutout+mixup"]),
        (["recipe=lab", "aug.mixup.alpha=0.3,aug=mixup,recipe=lab"], ["baseline", "mixup alpha=0.3"]),
        (["optim.lr=0.1", "epochs=20,loss=ce,optim.lr=0.2"], ["lr=0.1", "ce lr=0.2 epochs=20"]),
        (
            ["aug.cutmix.alpha=1,aug.mixup.alpha=1", "aug.mixup.alpha=2"],
            ["cutmix.alpha=1 mixup.alpha=1", "mixup.alpha=2"],
        ),
        (["loss=none", "sched=none"], ["loss=none", "sched=none"]),
        (["data.subset=0.2,model=resnet20"], ["resnet20 subset=0.2"]),
        (["baseline"], ["baseline"]),
    ],
)
def test_a_title_says_what_sets_an_arm_apart(names: list[str], told: list[str]) -> None:
    _, found = short_names({str(k): name for k, name in enumerate(names)})
    assert list(found.values()) == told


def arm(out: Path, id_: str, name: str, sweep: str = "first") -> str:
    trial(out, arm=id_, name=name, sweep=sweep)
    return id_


def test_seeds_and_names_grow_with_the_sweep(tmp_path: Path) -> None:
    one, two = arm(tmp_path, "1", "aug=cutout,epochs=5"), arm(tmp_path, "2", "aug=mixup,epochs=5")
    assert join(tmp_path, "a/b", {one: [0]}) == []
    said = tmp_path / one / "sweeps" / "a%2Fb.json"
    assert json.loads(said.read_text()) == {"name": "cutout epochs=5", "seeds": [0]}
    join(tmp_path, "a/b", {one: [2, 1], two: [0]})
    assert json.loads(said.read_text()) == {"name": "cutout", "seeds": [0, 1, 2]}
    join(tmp_path, "a/b", {two: [0]})
    assert json.loads(said.read_text()) == {"name": "cutout", "seeds": [0, 1, 2]}


def test_only_what_is_new_of_finished_trials_is_news(tmp_path: Path) -> None:
    one, two = arm(tmp_path, "1", "aug=cutout"), arm(tmp_path, "2", "aug=mixup")
    join(tmp_path, "first", {one: [0], two: [0]})
    Training(done := tmp_path / one / "seed-0").epochs(1).end()
    assert join(tmp_path, "first", {one: [0], two: [0]}) == []
    assert join(tmp_path, "second", {one: [0]}) == [done]
    assert join(tmp_path, "second", {one: [0]}) == []


def test_arms_from_before_are_named_with_the_others(tmp_path: Path) -> None:
    old, new = arm(tmp_path, "1", "aug=cutout,epochs=5"), arm(tmp_path, "2", "aug=mixup,epochs=5")
    arm(tmp_path, "3", "loss=ce", sweep="other")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "arm.json").write_text("{")
    assert short_names_of(tmp_path) == {old: "cutout", new: "mixup", "3": "ce"}
    join(tmp_path, "first", {new: [0]})
    assert json.loads((tmp_path / old / "sweeps" / "first.json").read_text()) == {"name": "cutout", "seeds": []}
    assert not (tmp_path / "3" / "sweeps").exists()


def test_a_second_sweep_finds_the_trials_of_the_first(
    client: MlflowClient,  # noqa: F811
    uri: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = trial(tmp_path, arm="1", sweep="first")
    (folder.parent / "config.yaml").write_text(json.dumps({"track": {"mlflow": {"uri": uri}}}))
    Training(folder).epochs(1).end()
    upload.upload_news(tmp_path, join(tmp_path, "first", {"1": [0]}))
    upload.upload_news(tmp_path, join(tmp_path, "second", {"1": [0, 1]}))
    assert [run.data.tags["ablation.sweeps"] for run in runs(client, "first")] == ["first,second"]
    assert [run.data.tags["ablation.sweeps"] for run in arms(client, "first")] == ["first,second"]
    assert runs(client, "second") == []
    (folder.parent / "config.yaml").write_text(json.dumps({"track": {"mlflow": {"uri": "http://127.0.0.1:1"}}}))
    upload.upload_news(tmp_path, join(tmp_path, "third", {"1": [0]}))
    assert "run: ablation sync" in capsys.readouterr().err
