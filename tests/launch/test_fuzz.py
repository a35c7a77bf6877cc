"""Whatever is typed, and whatever a file of options says: it is taken, or refused on one screen that names it.

Nothing is trained and nothing is written: what would train ends at `out`, which is a file here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from tiny import CONF

from launch.compose.hydra_version import initialized
from tests.launch import mistyped
from tests.launch.front_door import Answer, complaint, compose, start

RUN = CONF.parent / "launch" / "run.py"
QUICK, SLOW = {"arms": 160, "sweeps": 10, "files": 6, "commands": 3}, {
    "arms": 1400, "sweeps": 400, "files": 200, "commands": 50
}  # fmt: skip
PLAN, SLURM = ("-m", "hydra/launcher=plan"), ("-m", "hydra/launcher=slurm")
# What once ended in a traceback, in a message that named nothing, or never.
ARMS = (
    ["model=wide_resnet", "model.width=1e30"], ["model=wrn16_8", "model.depth=1000000000"],
    ["model=resnet9", "model.width=1000000000"], ["track.mlflow.uri=inf"], ['aug="${nope}"'], ["seeds=1000000000"],
    ["optim=muon", "~optim.lr"],
)  # fmt: skip
WORST = {  # what stood in a file and ended in a traceback
    "options": (("model=toynet", "model.scale", "&x [*x]"), ("model=densenet", "model.growth", "!!binary aGk=")),
    "launchers": (
        ("hydra/launcher=slurm", "hydra.launcher.keeper_resources", "?"),
        ("hydra/launcher=slurm", "hydra.launcher.retry.node.exclude", "&x [*x]"),
    ),
}
SWEEPS = (
    [*PLAN, "epochs=range(1,2,0)"], [*PLAN, "epochs=range(nan)"], [*PLAN, "optim.lr=range(0,1000000000)"],
    [*PLAN, "epochs=range(1,400)", "batch_size=range(1,400)"], [*PLAN, "hydra.launcher.run=text"],
    [*PLAN, "hydra.launcher.run=0.5"], [*PLAN, "hydra.launcher._target_=a.b"], [*PLAN, "hydra.launcher._target_=5"],
    [*PLAN, "hydra.launcher=5"], [*PLAN, "hydra.sweeper=5"], [*PLAN, "hydra=5"], [*PLAN, "hydra.searchpath=[a://b]"],
    [*PLAN, 'hydra.launcher.rows="${nope}"'], [*PLAN, "hydra.sweeper.flags=5"], [*PLAN, "hydra.sweeper.flags=[[1]]"],
    [*PLAN, 'hydra.sweeper.rows=[{overrides:"",reported:5}]'], [*PLAN, "aug=cutout"],
    [*PLAN, "table=lab/eta", "teacher=[],{},0"],
    [*SLURM, "hydra.launcher.resources=true"], [*SLURM, "hydra.launcher.setup=5"],
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the program is started in, which stays empty."""
    folder = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An `out` in which nothing can be begun."""
    file = tmp_path_factory.mktemp("out") / "file"
    file.touch()
    return f"out={file}"


def cases(number: int) -> Callable[..., object]:
    """So many, the same in each run."""
    spared = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # making a failing line shorter takes minutes
        suppress_health_check=spared,
    )


def all_of(examples: Sequence[object]) -> Callable[..., object]:
    """Each of these is tried as well."""

    def decorate(test: object) -> object:
        for typed in examples:
            test = example(typed)(test)  # type: ignore[arg-type]
        return test

    return decorate


def judge(typed: Sequence[str], answer: Answer) -> None:
    wrong = complaint(typed, answer)
    assert not wrong, f"{wrong}: {list(typed)}\n{answer.said}"
    assert os.listdir() == [], typed


@pytest.mark.parametrize("number", [QUICK["arms"], pytest.param(SLOW["arms"], marks=pytest.mark.slow)])
def test_one_arm(number: int) -> None:
    @all_of(ARMS)
    @cases(number)
    @given(mistyped.arm())
    def ask(typed: list[str]) -> None:
        judge(typed, compose(typed))

    with initialized():
        ask()


@pytest.mark.parametrize("typed", SWEEPS, ids=" ".join)
def test_a_sweep_that_once_was_refused_badly(typed: list[str], blocked: str) -> None:
    answer = start([*typed, blocked])
    judge([*typed, blocked], answer)
    assert answer.code == 2


@pytest.mark.parametrize("number", [QUICK["sweeps"], pytest.param(SLOW["sweeps"], marks=pytest.mark.slow)])
def test_a_sweep(number: int, blocked: str) -> None:
    @cases(number)
    @given(mistyped.sweep())
    def ask(typed: list[str]) -> None:
        judge([*typed, blocked], start([*typed, blocked]))

    ask()


@pytest.mark.parametrize("number", [QUICK["files"], pytest.param(SLOW["files"], marks=pytest.mark.slow)])
@pytest.mark.parametrize("of", ["options", "launchers"])
def test_a_file_of_options(of: str, number: int, blocked: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, turn = tmp_path_factory.mktemp("mine"), count()

    @all_of(WORST[of])
    @cases(number // 2)
    @given(mistyped.of_yaml(mistyped.OF_OPTIONS if of == "options" else mistyped.OF_LAUNCHERS))
    def ask(chosen: tuple[str, str, str]) -> None:
        option, key, value = chosen
        own = folder / str(next(turn))  # files are looked at once
        place, text = mistyped.file_of(option, key, value)
        (own / place).parent.mkdir(parents=True)
        (own / place).write_text(text)
        group = option.partition("=")[0]
        typed = [*["-m"] * (of == "launchers"), f"hydra.searchpath=[file://{own}]", f"{group}=mine", blocked]
        judge([*typed, f"{key}={value}", str(own)], start(typed))

    ask()


@pytest.mark.parametrize("number", [QUICK["commands"], pytest.param(SLOW["commands"], marks=pytest.mark.slow)])
def test_a_command(number: int, blocked: str) -> None:
    @cases(number)
    @given(mistyped.arm() | mistyped.sweep())
    def ask(typed: list[str]) -> None:
        line = [sys.executable, str(RUN), *typed, blocked]
        done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
        judge([*typed, blocked], Answer(done.returncode, done.stdout + done.stderr))

    ask()
