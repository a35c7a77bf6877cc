"""The same arms read instead of run: real trials, a real tracker, the report as a user asks for it."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose
from hydra.core.utils import JobStatus
from tiny import CONF, SMALL_MODEL, TINY, run

from ablation.errors import AblationError, ConfigError
from ablation.store import set_aside
from launch.compose import own_data
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.sweep.upload import sync
from launch.tables import report
from launch.tables.definition import define_rows
from launch.tables.report import launch, read_options
from tests.track.trials import mlflow_warns

pytestmark = mlflow_warns
ROWS = [
    {"label": "plain", "overrides": [], "reported": {"test_acc": 92.39}},
    {"label": "cut out", "overrides": "aug=cutout", "reported": {"test_acc": [93, 94.5]}, "seq": "unknown"},
    {"label": "explodes", "overrides": "optim.lr=1e30"},
    {"label": "never run", "overrides": "aug=mixup"},
    {"label": "no such network", "overrides": "model=nothing", "flags": ["control"]},
]
TABLE = {"title": "Of a test", "source": "nobody", "protocol": "none", "params": {"seeds": 2}, "rows": ROWS}


@dataclass(frozen=True)
class Lab:
    """A table, trials of some of its rows, and their tracker."""

    home: Path

    @property
    def base(self) -> list[str]:
        kept = [text for text in TINY if not text.startswith("track")]
        where = [f"hydra.searchpath=[file://{self.home}/conf]", f"out={self.home}/runs"]
        return [*kept, *SMALL_MODEL, f"track.mlflow.uri=sqlite:///{self.home}/mlflow.db", *where]

    def train(self, *row: str) -> None:
        """Here and now."""
        base = [text for text in self.base if not text.startswith("hydra.")]
        with initialized():
            (planned,) = compose_arms([[*base, *row]])
        folder = self.home / "runs" / planned.arm.id
        planned.arm.write(folder, planned.config)
        run({**planned.config, "track": {}}, folder)

    def upload(self) -> None:
        assert [outcome.error for outcome in sync(self.home / "runs") if outcome.error] == []

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """In a folder that has to stay empty."""
        line = [sys.executable, str(CONF.parent / "launch" / "run.py"), *self.base, *arguments]
        (self.home / "desk").mkdir(exist_ok=True)
        done = subprocess.run(line, cwd=self.home / "desk", capture_output=True, text=True, timeout=200)
        assert not list((self.home / "desk").iterdir())
        return done

    def told(
        self, *arguments: str, rows: tuple[str, ...] = ("aug=[]", "aug=cutout")
    ) -> tuple[dict[str, Any], list[Any]]:
        """The report as JSON, from within this process, and what the sweeper is told."""
        nowhere = "track=[]" in (*arguments, *rows)
        base = [text for text in self.base if not nowhere or not text.startswith("track.")]
        asked = [*base, "hydra/launcher=report", f"hydra.launcher.to={self.home}/told", *arguments]
        shutil.rmtree(self.home / "told", ignore_errors=True)
        with initialized(), chdir(self.home):
            config = compose("config", asked, return_hydra_config=True)
            returns = launch(config, [[*config.hydra.overrides.task, row] for row in rows])
        (written,) = (self.home / "told").glob("*.json")
        found: dict[str, Any] = json.loads(written.read_bytes())
        return found, list(returns)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    home = tmp_path_factory.mktemp("lab")
    (home / "conf" / "table").mkdir(parents=True)
    (home / "conf" / "table" / "mine.yaml").write_text("# @package hydra.sweeper\n" + yaml.safe_dump(TABLE))
    lab = Lab(home)
    lab.train("seeds=2")
    lab.train("aug=cutout", "seeds=[1]")
    lab.train("optim.lr=1e30", "seeds=[0]")
    lab.upload()
    return lab


def files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_report_of_real_runs_and_the_same_bytes_without_their_folders(lab: Lab, tmp_path: Path) -> None:
    before = hashlib.sha256((lab.home / "mlflow.db").read_bytes()).hexdigest()
    asked = ("table=mine", "hydra/launcher=report", f"hydra.launcher.to={tmp_path}")
    done = lab.cli(*asked, f"hydra.launcher.to={tmp_path / 'one'}")
    assert done.returncode == 1, done.stderr
    written, error = done.stderr.splitlines()
    assert error == "error: 4 of 5 rows are not complete; their cells and footnotes say what is missing"
    names = written.removeprefix(f"written to {tmp_path / 'one'}: ").split(", ")
    assert (names[0], {*names}) == ("mine.html", {*files(tmp_path / "one")})
    for text in (
        "Of a test", "3 epochs, batch size 8, trained on 16 of 1437 images (stratified), fp32",
        "digits, tested on 20 of 360 images (stratified)", "seed 0 failed: diverged", "missing 2/2", "93.00 / 94.50",
    ):  # fmt: skip
        assert text in done.stdout
    moved = lab.home / "runs"
    moved.rename(lab.home / "elsewhere")
    again = lab.cli(*asked, f"hydra.launcher.to={tmp_path / 'two'}", "--json")
    (lab.home / "elsewhere").rename(moved)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    kinds = (".md", ".csv", ".tex", ".json", ".html", "-curves.png", "-curves.svg", "-cost.png")
    assert {f"mine{kind}" for kind in kinds} <= files(tmp_path / "one").keys()
    assert again.stdout == (tmp_path / "one" / "mine.json").read_text()
    assert str(lab.home) not in (tmp_path / "one" / "mine.csv").read_text()
    assert hashlib.sha256((lab.home / "mlflow.db").read_bytes()).hexdigest() == before


def test_every_line_says_what_it_has(lab: Lab) -> None:
    found, jobs = lab.told("table=mine")
    assert [job.status for job in jobs] == [JobStatus.FAILED] * 2
    assert isinstance(jobs[0]._return_value, AblationError)
    lines = {line["label"]: line for line in found["lines"]}
    assert list(lines) == [row["label"] for row in ROWS]
    assert {label: line["verdict"] for label, line in lines.items()} == {
        "plain": "baseline", "cut out": "no verdict (one pair)", "explodes": "no runs", "never run": "no runs",
        "no such network": "cannot be run yet: model=nothing: no such option",
    }  # fmt: skip
    assert lines["cut out"]["waiting"] == {"0": "missing"}
    assert lines["explodes"]["waiting"] == {"0": "failed: diverged", "1": "missing"}
    assert lines["never run"]["waiting"] == {"0": "missing", "1": "missing"}
    own = json.loads((lab.home / "runs" / lines["cut out"]["id"] / "seed-1" / "result.json").read_bytes())
    assert lines["cut out"]["values"] == {"1": own["test_acc"]}
    (command,) = found["next"]
    words = shlex.split(command, comments=True)
    assert words[:3] == ["python", "launch/run.py", "-m"]
    assert {"table=mine", "hydra.sweeper.incomplete=skip"} < set(words)
    assert not [word for word in words if word.startswith(("hydra/launcher", "hydra.launcher"))]


def test_a_plain_sweep_with_a_baseline_and_a_metric(lab: Lab) -> None:
    sweep = "hydra.sweeper.rows=['aug=[]','aug=cutout']"
    found, _ = lab.told(sweep, "seeds=[1]", "hydra.launcher.metric=test_loss", "hydra.launcher.baseline='aug=cutout'")
    assert [line["verdict"] for line in found["lines"]] == ["no verdict (one pair)", "baseline"]
    assert [line["against"] for line in found["lines"]] == ["cutout", None]
    assert found["metric"] == "test_loss"
    assert found["complete"]
    assert found["name"] == "main"
    with pytest.raises(ConfigError, match="baseline=cutuot: no row has this label"):
        lab.told(sweep, "hydra.launcher.baseline=cutuot")


def test_another_sweepers_arms(lab: Lab) -> None:
    found, jobs = lab.told("hydra/sweeper=basic", "seeds=[1]")
    assert [line["label"] for line in found["lines"]] == ["no aug", "cutout"]
    assert [(job.status, job.return_value) for job in jobs] == [(JobStatus.COMPLETED, None)] * 2


def test_data_that_changed_under_an_arm_are_not_averaged(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a digest in the configuration, as in runs from before there was one."""
    monkeypatch.setattr(own_data, "digest_finder", lambda: lambda *_: None)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    own = [f"data.path={lab.home}/x.npz", "data=arrays", "data.subset=null", "data.test_subset=null"]
    for seed in (0, 1):
        labels = (np.arange(40) + seed) % 4
        parts = {"x_train": images[:24], "y_train": labels[:24], "x_test": images[24:], "y_test": labels[24:]}
        np.savez(lab.home / "x.npz", **parts)
        lab.train(*own, f"seeds=[{seed}]")
    lab.upload()
    found, _ = lab.told(*own, "seeds=2")
    (line,) = found["lines"]
    assert line["refused"].startswith("seeds differ in data: fingerprint of the images ")
    assert line["summary"] is None
    assert len(line["values"]) == 2, "both are shown"


def test_trials_that_the_tracker_was_not_told_of_are_noted(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.train("optim.lr=0.05", "seeds=[0]")
    found, _ = lab.told("optim.lr=0.05", "seeds=[0]")
    assert found["lines"][0]["waiting"] == {"0": "missing"}
    said = "note: trials that are done but not yet in MLflow: 1; `ablation sync --out runs` brings them there\n"
    assert capsys.readouterr().err.startswith(f"{said}written to {lab.home}/told: ")


def test_trials_that_were_set_aside_do_not_count_though_the_tracker_keeps_them(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.train("optim.lr=0.04", "seeds=[0]")
    lab.upload()
    found, _ = lab.told("optim.lr=0.04", "seeds=[0]")
    assert found["lines"][0]["waiting"] == {}
    set_aside.put(lab.home / "runs" / found["lines"][0]["id"] / "seed-0", lease=60.0)
    capsys.readouterr()
    found, _ = lab.told("optim.lr=0.04", "seeds=[0]")
    assert found["lines"][0]["waiting"] == {"0": "missing"}
    assert f"note: trials that are set aside in {lab.home}/runs/.aside are left out: 1\n" in capsys.readouterr().err
    lab.train("optim.lr=0.04", "seeds=[0]")
    lab.upload()
    found, _ = lab.told("optim.lr=0.04", "seeds=[0]")
    assert found["lines"][0]["waiting"] == {}


def test_a_tracker_that_was_never_written_is_no_error(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = lab.told("track.mlflow.uri=sqlite:///none.db")
    assert found["lines"][0]["verdict"] == "no runs"
    assert f"note: nothing has been recorded in sqlite:///{lab.home}/none.db yet\n" in capsys.readouterr().err
    assert not (lab.home / "none.db").exists()
    with pytest.raises(ConfigError, match="there is no file"):
        lab.told("hydra.launcher.uri=sqlite:///none.db")
    with pytest.raises(
        ConfigError, match=r"recorded nowhere; bring those that are done to a tracker with `ablation sync --uri sqlite:"
    ):
        lab.told("track=[]")


def test_arms_of_several_trackers_are_refused_unless_one_is_chosen(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"recorded in several places \(nowhere, sqlite:///.*; choose one with hydra"):
        lab.told("hydra/sweeper=basic", rows=("track=[]", "track=mlflow"))
    chosen = f"hydra.launcher.uri=sqlite:///{lab.home}/mlflow.db"
    found, _ = lab.told("hydra/sweeper=basic", "seeds=[1]", chosen, rows=("track=[]", "track=mlflow"))
    assert [len(line["values"]) for line in found["lines"]] == [1]


def test_a_line_of_several_rows_keeps_the_search_path_in_its_command(lab: Lab) -> None:
    path = f"hydra.searchpath=[file://{lab.home}/conf]"
    (line,) = define_rows([["epochs=3", "seeds=[0]"], ["epochs=3", "seeds=[5]"]], [path]).lines
    assert shlex.split(line.command) == ["python", "launch/run.py", path, "epochs=3", "seeds=[0,5]"]


def test_a_file_in_the_place_of_the_folder_is_named(lab: Lab) -> None:
    for to in (lab.home / "mlflow.db", lab.home / "mlflow.db" / "deep"):
        with pytest.raises(
            ConfigError, match=rf"hydra.launcher.to={to}: {lab.home}/mlflow.db is a file; name a folder"
        ):
            lab.told("seeds=[1]", f"hydra.launcher.to={to}")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"metrics": "x"}, "hydra.launcher.metrics: no such option of report; did you mean metric"),
        ({"json": "yes"}, "hydra.launcher.json=yes: give true or false"),
        ({"to": 3}, "hydra.launcher.to=3: is not text"),
        ({"publish": True}, "hydra.launcher.publish=true: shows files of a report in MLflow; name their folder"),
    ],
)
def test_options_are_checked(node: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_options(node)


def test_the_configuration_lists_the_options() -> None:
    node = yaml.safe_load((CONF / "hydra" / "launcher" / "report.yaml").read_text())
    assert set(node) - {"_target_", "kind"} == set(report.ReportOptions.__annotations__)
    read_options(node)
