"""Launchers that are none of ours: what they run is checked and told, and their keys are understood under ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest
from hydra import compose
from hydra.errors import HydraException
from slurm.lab import options
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from launch.compose.errors import message
from launch.compose.hydra_version import initialized
from launch.compose.paths import ROOT
from launch.slurm.options import read

Run = Callable[..., subprocess.CompletedProcess[str]]
no_submitit_launcher = pytest.mark.skipif(
    not list(distributions(name="hydra-submitit-launcher")), reason="needs pip install hydra-submitit-launcher"
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two arms by a launcher, of which the second fails if it is told to."""

    def typed(launcher: str, *more: str, second: str = "0") -> subprocess.CompletedProcess[str]:
        (tmp_path / "brake").mkdir(exist_ok=True)
        (tmp_path / "brake" / "1").write_text(second)
        line = [sys.executable, "launch/run.py", "-m", f"hydra/launcher={launcher}", *TINY, *SMALL_MODEL, *more]
        line += [f"out={tmp_path}/runs", "+aug.brake._target_=brake.brake", "+aug.brake.arm=0,1"]
        path = os.pathsep.join([str(ROOT / "tests" / "slurm"), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, "BRAKE": str(tmp_path / "brake")}
        return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)

    return typed


@pytest.mark.parametrize(
    "launcher",
    [pytest.param("basic", marks=pytest.mark.slow), pytest.param("submitit_local", marks=no_submitit_launcher)],
)
def test_a_run_says_what_it_did_and_fails_if_an_arm_does(run: Run, tmp_path: Path, launcher: str) -> None:
    failed = run(launcher, second="error")
    assert failed.returncode == 1
    assert f"note: hydra/launcher={launcher} is none of ours" in failed.stderr
    assert "hydra/launcher=local does all that" in failed.stderr
    assert failed.stderr.endswith("error: 1 of 2 arms failed: RuntimeError: the trick is broken\n")
    assert "Traceback" not in failed.stderr
    assert "2 trials: 1 done, 1 failed" in failed.stdout
    why = next(line for line in failed.stdout.splitlines() if line.startswith("why: ablation logs "))
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    told = subprocess.run(why.removeprefix("why: "), shell=True, cwd=ROOT, env=env, capture_output=True, text=True)
    assert "fails (error): the trick is broken" in told.stdout, told.stderr


def test_arms_that_cannot_be_are_refused_before_any_is_started(run: Run, tmp_path: Path) -> None:
    refused = run("basic", "optim.lr=0.1,quick")
    assert refused.returncode == 2
    assert "optim" in refused.stderr
    assert not (tmp_path / "runs").exists()


SLURM = "hydra/launcher=slurm"
MEANT = {
    "timeout_min=60": "did you mean hydra.launcher.resources.time=60?",
    "cpus_per_task=4": "did you mean hydra.launcher.resources.cpus=4?",
    "gpus_per_node=2": "did you mean hydra.launcher.resources.gpus=2?",
    "mem_gb=8": "did you mean hydra.launcher.resources.mem=8G?",
    "partition=gpu": "did you mean hydra.launcher.resources.partition=gpu?",
    "nodelist=n1": "did you mean +hydra.launcher.resources.nodelist=n1?",
    "mem_per_gpu=4G": "did you mean +hydra.launcher.resources.mem-per-gpu=4G?",
    "array_parallelism=8": "did you mean hydra.launcher.parallel=8?",
    "signal_delay_s=90": "did you mean hydra.launcher.grace=90?",
    "max_num_timeout=3": "did you mean hydra.launcher.retry.time_limit.tries=3?",
    "nodes=2": "a job is one task on one node; leave it out",
    "additional_parameters={nodelist:n1,exclusive:true}": (
        "did you mean +hydra.launcher.resources.nodelist=n1 +hydra.launcher.resources.exclusive=true?"
    ),
}


@pytest.fixture(scope="module")
def hydra() -> None:
    with initialized():
        yield


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize("typed", MEANT)
def test_submitits_keys_and_sbatchs_are_known_under_ours(typed: str) -> None:
    overrides = [SLURM, f"hydra.launcher.{typed}"]
    with pytest.raises(HydraException) as refused:
        compose("config", overrides, return_hydra_config=True)
    key = typed.partition("=")[0]
    assert message(refused.value, overrides) == f"hydra.launcher.{key}: no such key; {MEANT[typed]}"


@pytest.mark.usefixtures("hydra")
def test_where_slurm_is_not_chosen_it_is_part_of_what_to_type() -> None:
    overrides = ["hydra/launcher=local", "hydra.launcher.partition=gpu"]
    with pytest.raises(HydraException) as refused:
        compose("config", overrides, return_hydra_config=True)
    assert message(refused.value, overrides).endswith(
        "did you mean hydra/launcher=slurm hydra.launcher.resources.partition=gpu?"
    )


def test_keys_that_were_added_are_understood_too() -> None:
    with pytest.raises(ConfigError, match=r"mem_gb: no such option; did you mean hydra\.launcher\.resources\.mem=8G\?"):
        read(options(mem_gb=8))
