"""When a user's own trick is tried, how often, at what cost, and what is said when only the training shows a fault."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from made import PLAIN, used, x_of
from tiny import CONF, SMALL_MODEL, TINY, Silent, config, run

from ablation.contract import passing
from ablation.contract.check import check
from ablation.contract.sample import Shape
from ablation.errors import AblationError, ConfigError
from ablation.key import Key
from ablation.track.sink import Sink
from ablation.trial.parts import build_optimizer, parts
from ablation.types import Batch
from launch.checks import no_effect
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized

ROOT = CONF.parent


class Broken(Sink):
    def follow(self, folder: Path) -> None:
        raise RuntimeError("the wire is cut")

    def close(self, timeout: float = 0) -> list[str]:
        raise SystemExit("I leave")


def test_a_tracker_that_raises_is_a_note_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    watch = Silent()
    (result,) = run(used("track", Broken()), tmp_path / "run", watch).values()
    assert not isinstance(result, AblationError)
    assert any("track.mine: follow raised RuntimeError: the wire is cut" in note for note in watch.notes), watch.notes
    assert any("track.mine: close raised SystemExit: I leave" in note for note in watch.notes)
    with pytest.raises(ConfigError, match=r"^track\.mine: returned a Remark, not a Sink"):
        run(used("track", type("Remark", (), {})()), tmp_path / "other")


def test_what_only_the_images_show_is_refused_before_the_first_step(tmp_path: Path) -> None:
    """Of arrays the shape is not known before they are loaded: a trick for greys is none for colours."""
    for channels in (1, 3):
        file = tmp_path / f"{channels}.npz"
        x, y = np.zeros((16, 32, 32, channels), np.uint8), np.arange(16) % 4
        x[:, :8] = 255
        np.savez(file, x_train=x, y_train=y, x_test=x, y_test=y)
        arrays = config(
            *TINY, *SMALL_MODEL, "data=arrays", f"data.path={file}", "data.subset=null", "data.test_subset=null"
        )
        grey = used("aug", x_of(lambda x: x * torch.ones(4, 1, 1)[: x.shape[1] + 1]), data=arrays["data"])
        parts(grey)  # two channels for one, four for three: neither fits, and neither is known to be wrong
        with pytest.raises(ConfigError, match=r"^aug\.mine: "):
            run(grey, tmp_path / f"run-{channels}")
        assert not list(tmp_path.glob(f"run-{channels}/seed-0/*/last.pt"))


def test_each_distinct_option_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def aug(batch: Batch, key: Key) -> Batch:
        calls.append(len(batch.x))
        return batch

    made = used("aug", aug)
    for lr in (0.1, 0.2, 0.3):
        parts({**made, "optim": {**made["optim"], "lr": lr}})
    assert calls[:8] == [8] * 8
    assert len(calls) == 9, "four keys twice, and once as a lane"


def test_only_the_project_s_own_data_sets_are_known_by_name() -> None:
    assert Shape.likely({"_target_": "ablation.data.cifar10.cifar10"}).known
    assert not Shape.likely({"_target_": "cifar10.load"}).known, "of a module of the user's"


def test_it_costs_a_moment() -> None:
    """Processor time of the whole check of a plain configuration, on eight images of 32 px."""
    shape = Shape(10, 3, 32, 32, known=True)
    check(PLAIN, shape, build_optimizer)
    costs = []
    for _ in range(5):
        for kept in (passing.images, passing._augmented, passing.terms):
            kept.cache_clear()
        began = time.process_time()
        check({**PLAIN, "batch_size": 8 + len(costs)}, shape, build_optimizer)
        costs.append(time.process_time() - began)
    assert min(costs) < 0.05


FOLDER = """
import numpy as np
import torch

def late():  # steady wherever it is tried before a training
    rng = np.random.default_rng()
    def aug(batch, key):
        return batch._replace(x=batch.x * float(rng.random())) if 0.45 < float(batch.t) < 0.55 else batch
    return aug

def rand(): return lambda batch, key: batch._replace(x=batch.x * np.random.rand())
def half(): return lambda batch, key: batch._replace(x=batch.x[: len(batch.x) // 2])
def fine(): return lambda batch, key: batch._replace(x=batch.x / 2)
"""


def test_a_check_for_dead_switches_finds_what_is_not_steady_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tricks_of_hers.py").write_text(FOLDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rows = [[f"+aug.mine._target_=tricks_of_hers.{name}"] for name in ("fine", "late")]
    with initialized():
        planned = compose_arms([[*TINY, *SMALL_MODEL, *row, f"out={tmp_path / 'out'}"] for row in rows])
    assert no_effect.check(planned[:1], no_effect.Budget(300.0)).dead == ()
    with pytest.raises(ConfigError, match=r"late: .*: aug\.mine gives two answers for one key"):
        no_effect.check(planned, no_effect.Budget(300.0))


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tricks_of_hers.py").write_text(FOLDER)
    (tmp_path / "conf" / "aug").mkdir(parents=True)
    (tmp_path / "conf" / "aug" / "rand.yaml").write_text("rand:\n  _target_: tricks_of_hers.rand\n")
    out = tmp_path / "out"
    common = [*TINY, *SMALL_MODEL, f"out={out}"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "mine")}

    def typed(*overrides: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "launch/run.py", *overrides, *common],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
        )

    one = typed("aug=rand", f"hydra.searchpath=[file://{tmp_path / 'conf'}]")
    assert one.returncode == 2
    assert "error: aug.rand: is no function of its key: it draws from numpy's global generator" in one.stderr
    sweep = typed("-m", "+aug.mine._target_=tricks_of_hers.half,tricks_of_hers.fine", "optim.lr=0.1,0.2")
    assert sweep.returncode == 2
    assert "2 of 4 arms refused, nothing was started" in sweep.stderr
    assert sweep.stderr.count("aug.mine: returned 4 images for 8") == 2
    assert sweep.stderr.count("Aug = (Batch, Key) -> Batch") == 1, "in full once"
    assert not out.exists()
