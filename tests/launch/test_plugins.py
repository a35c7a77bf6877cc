"""Hydra's plugins as a user meets them, and as other sweepers do."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose
from hydra.core.utils import JobStatus
from omegaconf import DictConfig
from tiny import CONF, SMALL_MODEL, TINY

from ablation.errors import AblationError, ConfigError, Stopped
from launch.compose.arm import Planned
from launch.compose.grid import KEYS
from launch.compose.hydra_version import initialized
from launch.multirun import launch
from launch.status.outcome import Outcome, TrialKey

ROOT = CONF.parent


def cli(out: Path, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "launch" / "run.py"), *arguments, f"out={out}"]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=200)


def planned(out: Path, *arguments: str, cwd: Path = ROOT) -> list[list[str]]:
    """The overrides of the arms that a plan tells, without `out`."""
    done = cli(out, "hydra/launcher=plan", "--json", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return [arm["overrides"][:-1] for arm in json.loads(done.stdout)["arms"]]


def test_a_plan_writes_nothing_anywhere(tmp_path: Path) -> None:
    cwd, out = tmp_path / "cwd", tmp_path / "out"
    cwd.mkdir()
    assert planned(out, "aug=cutout,mixup", "seeds=2", cwd=cwd) == [
        [f"aug={a}", "seeds=2"] for a in ("cutout", "mixup")
    ]
    assert not out.exists()
    assert not list(cwd.iterdir())


def test_a_table_with_an_axis_more_and_another_budget(tmp_path: Path) -> None:
    table = yaml.safe_load((CONF / "table" / "lab" / "postact_mixup.yaml").read_text())
    rows = [shlex.split(row["overrides"]) if row["overrides"] else [] for row in table["rows"]]
    assert planned(tmp_path, "table=lab/postact_mixup", "epochs=20", "optim.lr=0.1,0.2") == [
        ["recipe=lab_resnet20", "sched.eta=0.0001", *row, "epochs=20", f"optim.lr={lr}"]
        for row in rows
        for lr in (0.1, 0.2)
    ]


def test_the_grid_language_on_the_command_line_and_its_notes(tmp_path: Path) -> None:
    done = cli(
        tmp_path, "hydra/launcher=plan", "--json", "aug=cutout,mixup",
        'hydra.sweeper.zip=[{optim.lr:"0.1,0.2",batch_size:"64,128"}]',
        'hydra.sweeper.exclude=["aug=mixup optim.lr=0.2","aug=channel_drop"]',
    )  # fmt: skip
    assert done.stderr == "note: hydra.sweeper.exclude[1] excludes no arm\n"
    told = json.loads(done.stdout)
    assert [arm["overrides"][:-1] for arm in told["arms"]] == [
        ["optim.lr=0.1", "batch_size=64", "aug=cutout"],
        ["optim.lr=0.1", "batch_size=64", "aug=mixup"],
        ["optim.lr=0.2", "batch_size=128", "aug=cutout"],
    ]
    assert shlex.split(told["command"])[:3] == ["python", "launch/run.py", "-m"]
    assert "hydra/launcher=plan" not in told["command"]
    again = cli(tmp_path, "hydra/launcher=plan", "--json", *shlex.split(told["command"])[3:])
    assert [arm["id"] for arm in json.loads(again.stdout)["arms"]] == [arm["id"] for arm in told["arms"]]


def test_hydras_own_sweeper_works_with_our_launchers(tmp_path: Path) -> None:
    arguments = ("hydra/sweeper=basic", f"hydra.sweep.dir={tmp_path}/hydra", "aug=cutout,mixup", "epochs=2")
    assert planned(tmp_path, *arguments) == [[f"aug={a}", "epochs=2"] for a in ("cutout", "mixup")]


def test_hydras_own_launcher_works_with_our_sweeper(tmp_path: Path) -> None:
    done = cli(tmp_path, "-m", "hydra/launcher=basic", "hydra.sweeper.rows=['aug=mixup','']", *TINY, *SMALL_MODEL)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*/seed-0/result.json"))) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aug=cutout,cutot"], "arm 1 (aug=cutot out="),
        (["hydra.sweeper.excludes=[x]"], "hydra.sweeper.excludes: no such key; did you mean hydra.sweeper.exclude"),
        (["hydra.launcher.jsn=true"], "hydra.launcher.jsn: no such key; did you mean hydra.launcher.json"),
        (["table=lab/postact_mixpu"], "table=lab/postact_mixpu: no such option; did you mean lab/postact_mixup"),
        (["table=tricks/3_5,tricks/3_5"], "table=tricks/3_5,tricks/3_5: one table at a time"),
        (["hydra/launcher=plna"], "hydra/launcher=plna: no such option; did you mean plan?"),
    ],
)
def test_mistakes_are_one_message(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = cli(tmp_path, "-m", *([] if "hydra/launcher=plna" in arguments else ["hydra/launcher=plan"]), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_sweepers_configuration_lists_the_grids_keys() -> None:
    assert set(KEYS) < set(yaml.safe_load((CONF / "hydra" / "sweeper" / "grid.yaml").read_text()))


@pytest.fixture
def config() -> Iterator[DictConfig]:
    """A sweep's, as a launcher is given it."""
    with initialized():
        yield compose("config", ["hydra/launcher=plan"], return_hydra_config=True)


ROWS = [["aug=mixup", "seeds=[0]"], ["aug=cutout"], ["aug=mixup", "seeds=[1]"]]


def outcomes(planned: Sequence[Planned], **cutouts: Any) -> dict[TrialKey, Outcome]:
    mixup, cutout = (p.arm.id for p in planned)
    return {
        (mixup, 0): Outcome("done", test_acc=90.0),
        (mixup, 1): Outcome("done", test_acc=92.0),
        (cutout, 0): Outcome(**{"state": "done", "test_acc": 50.0, **cutouts}),
    }


def test_a_job_returns_the_mean_accuracy_of_its_arm(config: DictConfig) -> None:
    def run(planned: Sequence[Planned], options: Mapping[str, Any], command: str) -> dict[TrialKey, Outcome]:
        assert [p.seeds for p in planned] == [(0, 1), (0,)]
        assert options["run"] == "launch.plan.run"
        assert command == "python launch/run.py -m hydra/launcher=plan"
        return outcomes(planned)

    jobs = launch(run, config, ROWS)
    assert [job.overrides for job in jobs] == ROWS
    assert [job.return_value for job in jobs] == [91.0, 50.0, 91.0]


@pytest.mark.parametrize(("cause", "kind"), [("oom", AblationError), ("config", ConfigError)])
def test_a_failed_arm_is_a_failed_job_and_the_others_are_not(config: DictConfig, cause: str, kind: type) -> None:
    jobs = launch(lambda planned, *_: outcomes(planned, state="failed", cause=cause), config, ROWS)
    assert [job.status for job in jobs] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    with pytest.raises(kind, match="1 of 3 trials are not done") as raised:
        _ = jobs[1].return_value
    assert type(raised.value) is kind


def test_a_stopped_sweep_stops_the_sweeper(config: DictConfig) -> None:
    with pytest.raises(Stopped):
        launch(lambda planned, *_: outcomes(planned, state="stopped"), config, ROWS)


def test_a_sweep_that_was_handed_over_has_no_value_yet(config: DictConfig) -> None:
    assert [job.return_value for job in launch(lambda *_: 0, config, ROWS)] == [None] * 3
    assert {job.status for job in launch(lambda *_: 1, config, ROWS)} == {JobStatus.FAILED}


@pytest.mark.parametrize("name", ["status", pytest.param("tables", marks=pytest.mark.slow)])
def test_a_trick_may_be_called_as_one_of_our_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(
        "def trick():\n    return lambda batch, key: batch._replace(x=batch.x * 0.5)\n"
    )
    line = [sys.executable, "launch/run.py", "-m", *TINY, f"+aug.mine._target_={name}.trick", f"out={tmp_path / 'out'}"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    options = ["hydra/launcher=plan", "track=[]"]
    done = subprocess.run([*line, *options], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "1 arm" in done.stdout
