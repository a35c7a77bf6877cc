"""The command line as a user types it, in real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose
from mlflow import MlflowClient
from tiny import CONF, TINY, config, final_weights

from ablation.errors import ConfigError
from ablation.store.identity import canonical
from ablation.trial.parts import parts
from launch.compose import arm, errors
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized

ROOT = CONF.parent
SMOKE = ("recipe=smoke", "model.depth=8", "precision=fp32", "device=cpu")


def command(out: Path, *overrides: str) -> list[str]:
    places = [f"out={out}"] + ([] if "track=[]" in overrides else [f"track.mlflow.uri=sqlite:///{out}/mlflow.db"])
    return [sys.executable, "launch/run.py", *overrides, *places, *SMOKE]


def cli(out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(out, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=200)


def results(out: Path) -> dict[str, dict[str, Any]]:
    """Arm name -> result of its seed 0."""
    named = {}
    for path in out.glob("*/seed-0/result.json"):
        named[json.loads((path.parents[1] / "arm.json").read_text())["name"]] = json.loads(path.read_text())
    return named


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's, with a new SQLAlchemy
def test_two_arms_from_the_readme(tmp_path: Path) -> None:
    done = cli(tmp_path, "-m", "aug=cutout,mixup", "sched=cosine")
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stdout
    found = results(tmp_path)
    assert len(found) == 2
    assert [n for n in found if "aug=cutout" in n and "sched=cosine" in n]
    assert [n for n in found if "aug=mixup" in n]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("main").experiment_id])
    assert {r.data.tags["aug"] for r in runs} == {"cutout", "mixup"}
    assert {r.info.status for r in runs} == {"FINISHED"}
    for run in runs:
        (result,) = [r for n, r in found.items() if f"aug={run.data.tags['aug']}" in n]
        assert run.data.metrics["test_acc"] == pytest.approx(result["test_acc"])
        assert [m.step for m in client.get_metric_history(run.info.run_id, "test_acc")] == [1, 2]


@pytest.mark.slow
def test_killed_and_started_again_it_ends_the_same(tmp_path: Path) -> None:
    """kill -9 in the middle of an epoch: the same command resumes and ends bit for bit as if nothing had happened."""
    long = ("epochs=4", "track=[]", "checkpoint.seconds=0.2", "aug=[cutout,mixup]", "regularizer=ema")
    base = [sys.executable, "launch/run.py", *SMOKE, *long]
    subprocess.run([*base, f"out={tmp_path / 'straight'}"], cwd=ROOT, check=True, capture_output=True, timeout=200)
    hit = tmp_path / "hit"
    for saves in (1, 3):
        with subprocess.Popen([*base, f"out={hit}"], cwd=ROOT, stdout=subprocess.DEVNULL) as trial:
            deadline = time.monotonic() + 100
            while sum(p.read_text().count('"saved"') for p in hit.glob("*/seed-0/attempt-*/journal.jsonl")) < saves:
                assert time.monotonic() < deadline
                assert trial.poll() is None, "it ended before it could be killed"
                time.sleep(0.02)
            trial.kill()
    subprocess.run([*base, f"out={hit}"], cwd=ROOT, check=True, capture_output=True, timeout=200)
    (straight,), (resumed,) = (list((tmp_path / f).glob("*/seed-0/result.json")) for f in ("straight", "hit"))
    one, other = (final_weights(p.parents[1]) for p in (straight, resumed))
    assert [k for k in one if not torch.equal(one[k], other[k])] == []
    assert json.loads(resumed.read_text())["attempts"] == 3
    assert json.loads(resumed.read_text())["test_acc"] == json.loads(straight.read_text())["test_acc"]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    line = command(tmp_path, "epochs=500")
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as trial:
        assert trial.stdout is not None
        while "epoch 1/" not in trial.stdout.readline():
            assert trial.poll() is None
        trial.send_signal(number)
        _, said = trial.communicate(timeout=60)
    assert trial.returncode == 130
    assert "the same command resumes there" in said
    assert list(tmp_path.glob("*/seed-0/attempt-1/last.pt"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["agu=cutout"], "agu: no such key; did you mean aug?"),
        (["aug=cutot"], "aug=cutot: no such option; did you mean cutout?"),
        (["aug=[cutout,mixpu]"], "aug=mixpu: no such option; did you mean mixup?"),
        (["optim.lrr=1"], "optim.lrr: no such key; did you mean optim.lr"),
        (["epoch=3"], "epoch: no such key; did you mean epochs"),
        (["checkpoint.secods=1"], "did you mean checkpoint.seconds"),
        (["aug.mixup.alpha=1"], "aug.mixup.alpha: mixup is not chosen; add aug=mixup"),
        (["recipe=lab_resnet"], "did you mean lab_resnet20"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(overrides: list[str], said: str) -> None:
    with (
        initialized(),
        pytest.raises(Exception) as refused,  # noqa: PT011 Hydra's own, of several kinds
    ):
        compose("config", overrides)
    assert said in errors.message(refused.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["epochs=-1"], "epochs=-1"),
        (["epochs=2.5"], "epochs=2.5"),
        (["batch_size=0"], "batch_size=0"),
        (["seeds=0"], "seeds=0"),
        (["lease=0"], "lease=0"),
        (["lease=soon"], "lease=soon"),
        (["seeds=[1,1]"], "seeds="),
        (["checkpoint=null"], "checkpoint=null: set checkpoint.epochs and"),
        (["checkpoint=3"], "checkpoint=3: set checkpoint.epochs and"),
        (["~checkpoint.seconds"], "checkpoint.seconds: is missing"),
        (["+checkpoint.second=3"], "checkpoint.second: no such key; did you mean seconds"),
        (["out=null"], "out=null: names a folder and is no text; give text"),
        (["out=3"], "out=3: names a folder and is no text; give it in quotes, 'out=\"3\"'"),
        (["sweep=null"], "sweep=null: names a folder and is no text; give text"),
        (["sweep=2024"], "give it in quotes, 'sweep=\"2024\"'"),
        (["sched=cosine", "sched.eta=3"], "sched.eta: 3"),
        (["sched=cosine", "sched.warmup=50"], "sched.warmup: 50"),
        (["sched.milestones=[30]"], "sched.milestones"),
        (["data.val=1.5"], "data.val"),
        (["data.subset=none"], "data.subset"),
        (["data.view=pad_corp"], "did you mean pad_crop"),
        (["model.depth=21"], "model.depth: 21 is not 6n+2; nearest are 20 and 26"),
        (["precision=bf8"], "did you mean bf16"),
        (["device=gpu"], "device=gpu"),
        (["optim.lr=-1"], "optim.lr: -1"),
        (["optim.no_decay=[gamma]"], "optim.no_decay"),
        (["optim.lr=fast"], "optim.lr: 'fast' is not a number"),
        (["regularizer=dropout", "regularizer.dropout.p=null"], "regularizer.dropout.p: None is not a number"),
        (["regularizer=lookahead", "regularizer.lookahead.k=2.5"], "lookahead.k: 2.5 is not a whole number"),
        (["regularizer=lookahead", "regularizer.lookahead.k=inf"], "regularizer.lookahead.k: inf is not a number"),
        (["model.depth=[20]"], "model.depth: [20] is not a number"),
        (["model.depth=20.0"], None),  # as its id has it, that is 20
        (["+foo=1"], "foo: no such key"),
        (["+aug.cutout.size=3"], "aug.cutout"),
        (["regularizer=stochastic_depth", "model=lenet"], "takes no `join`"),
        (["data=cifar10", "data.root=/nowhere", "data.download=false"], None),  # needs the files: refused when loaded
    ],
)
def test_an_impossible_value_is_refused_before_data_is_loaded(overrides: list[str], said: str | None) -> None:
    with initialized():
        composed = arm.resolved(compose("config", overrides))
    settled, _ = arm.settle(composed, overrides)
    if said is None:
        parts(settled)
        return
    with pytest.raises(Exception, match=r"\A(?!.*Traceback)") as refused:
        parts(settled)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["~model"], "model=None: is no option; give model=NAME, one of conf/model/"),
        (["~sched"], "sched=None: is no option"),
        (["aug=mixup", "aug.mixup=null"], "aug.mixup=None: is no option"),
        (["track.mlflow=null"], "track.mlflow=None: is no option"),
        (["rounds=400"], "rounds=400: give a whole number"),
    ],
)
def test_what_is_no_option_is_refused(overrides: list[str], said: str) -> None:
    with initialized(), pytest.raises(ConfigError, match=re.escape(said)):
        compose_arms([overrides])


def test_a_refusal_is_a_message_and_exit_code_2(tmp_path: Path) -> None:
    done = cli(tmp_path, "optim.lr=-1")
    assert done.returncode == 2
    assert "optim.lr: -1 is not a finite number above 0" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Error executing job" not in done.stderr, "Hydra's line, which repeats what was typed"
    assert not list(tmp_path.iterdir()), "nothing was started"


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """No file may grow past 200 KiB, so the first checkpoint cannot be written; with room again the trial is done."""
    line = command(tmp_path, "track=[]")
    limited = ["bash", "-c", 'ulimit -f 200; trap "" XFSZ; exec "$@"', "bash", *line]
    full = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert full.returncode == 1
    assert "next.pt: the file is larger than a file may be here (ulimit -f: 200 KiB)" in full.stderr
    assert "the same command goes on" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list(tmp_path.glob("*/seed-0/*/*.pt"))
    assert subprocess.run(line, cwd=ROOT, capture_output=True, timeout=200).returncode == 0
    assert len(results(tmp_path)) == 1


def test_every_impossible_arm_of_a_sweep_is_told_before_any_starts(tmp_path: Path) -> None:
    done = cli(tmp_path, "-m", "optim.lr=-1,0.1,-2", "track=[]")
    assert done.returncode == 2
    assert "2 of 3 arms refused, nothing was started" in done.stderr
    assert "optim.lr: -1 is" in done.stderr
    assert "optim.lr: -2 is" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", pytest.param("sqlite:////proc/nowhere/mlflow.db", marks=pytest.mark.slow)]
)
def test_a_dead_tracker_costs_a_warning(tmp_path: Path, uri: str) -> None:
    line = command(tmp_path, "track.mlflow.timeout=5")
    line = [f"track.mlflow.uri={uri}" if part.startswith("track.mlflow.uri") else part for part in line]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "points not uploaded" in done.stdout
    assert "ablation sync --out" in done.stdout
    assert len(results(tmp_path)) == 1


def test_missing_data_is_one_message(tmp_path: Path) -> None:
    done = cli(tmp_path, "data=cifar10", "~data.subset", f"data.root={tmp_path / 'nowhere'}", "data.download=false")
    assert done.returncode == 2
    assert "set data.download=true, or put cifar-10-batches-py under data.root=DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_recipe_set_for_another_option_is_left_out_and_said() -> None:
    overrides = ["recipe=lab_resnet20", "sched=multistep"]
    with initialized():
        settled, notes = arm.settle(arm.resolved(compose("config", overrides)), overrides)
    assert "eta" not in settled["sched"]
    assert settled["sched"]["warmup"] == 10
    assert any("sched.eta=1e-05" in n for n in notes)


def test_the_lab_recipe_is_the_notes_setting() -> None:
    lab = config("recipe=lab_resnet20")
    assert (lab["batch_size"], lab["epochs"], lab["optim"]["lr"], lab["optim"]["weight_decay"]) == (256, 200, 0.2, 5e-4)
    assert (lab["sched"]["eta"], lab["sched"]["warmup"], lab["model"]["depth"]) == (1e-5, 10, 20)
    assert list(lab["init"]) == ["kaiming", "zero_gamma"]


def test_hydra_prints_the_configuration(tmp_path: Path) -> None:
    line = [sys.executable, "launch/run.py", "aug=cutout", "--cfg", "job"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "ablation.aug.cutout.cutout" in done.stdout


@pytest.mark.parametrize(
    "moment",
    [
        "ctrl_c()",
        "try:\n    ctrl_c()\nexcept BaseException:\n    pass",
        "class Gone:\n    def __del__(self):\n        ctrl_c()\n\nGone()",
    ],
    ids=["plainly", "where it is caught", "where nothing can be raised"],
)
@pytest.mark.parametrize(
    ("program", "library", "says"),
    [
        (["launch/run.py", "aug=cutout"], "hydra", "stopped before anything was trained"),
        (["-m", "launch", "run", "aug=cutout"], "hydra", "stopped before anything was trained"),
        (["-m", "launch", "status"], "click", ""),
    ],
)
def test_ctrl_c_while_libraries_are_imported_is_no_traceback(
    tmp_path: Path, program: list[str], library: str, says: str, moment: str
) -> None:
    """A library that asks for Ctrl-C as soon as it is imported stands for one that takes long."""
    ctrl_c = "def ctrl_c():\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(9)\n"
    (tmp_path / f"{library}.py").write_text(f"import os, signal, time\n{ctrl_c}\n{moment}\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == bool(says)


def test_tab_completes_groups_and_options() -> None:
    typed = "python launch/run.py aug="
    env = {**os.environ, "COMP_LINE": typed, "COMP_POINT": str(len(typed))}
    line = [sys.executable, "launch/run.py", "-sc", "query=bash"]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert {"aug=cutout", "aug=mixup"} <= set(done.stdout.split())


def test_params_are_what_differs_from_the_defaults() -> None:
    overrides = ["aug=mixup", "optim.lr=0.3"]
    settled = config(*TINY, *overrides)
    choices = {g: "x" for g in ("data", "model", "loss", "optim", "sched")}
    described = arm.make_arm(settled, canonical(config(*TINY)), choices, overrides, "python launch/run.py")
    assert described.params == {
        "optim.lr": 0.3,
        "aug.mixup.alpha": 1,
        "aug.mixup.per": "batch",
        "aug.mixup.larger": False,
    }
    assert described.name == "aug=mixup,optim.lr=0.3"
    assert described.groups["aug"] == "mixup"
    assert described.groups["regularizer"] == "none"
