"""`ablation lr`, over run folders written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PIL import Image
from tiny import SMALL_MODEL, TINY

from ablation.store import attempt
from ablation.trial import trace
from launch.cli import main
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.one_arm import run_arm
from launch.sweep.submission import Submission
from tests.launch.handmade import finish, make, seed_folder, start, sweep

Capture = pytest.CaptureFixture[str]
STEPS = 60


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Two seeds of a range test, one of them in two attempts; a run with another schedule; one without a trace."""
    out = tmp_path_factory.mktemp("runs")
    s = sweep(out, "sched=range seeds=2 trace=true", "trace=true", "aug=mixup", name="demo")
    rates: list[float | None] = [1e-4 * 10 ** (i / 12) for i in range(STEPS)]
    for arm, seed in ((0, 0), (0, 1), (1, 0), (2, 0)):
        make(seed_folder(s, arm, seed), 1, start())
        finish(seed_folder(s, arm, seed))
    make(seed_folder(s, 0), 2, {**start(), "attempt": 2, "step": 30})
    wrong: list[float | None] = [0.0] * 30  # of the first attempt, taken back
    put(s, 0, 0, 1, 0, losses(0, 30) + wrong, rates)
    put(s, 0, 0, 2, 30, losses(30, STEPS), rates[30:])
    put(s, 0, 1, 1, 0, losses(0, STEPS, 0.2), rates)
    put(s, 1, 0, 1, 0, losses(0, STEPS), [0.1] * STEPS)
    return s


def losses(first: int, last: int, more: float = 0.0) -> list[float | None]:
    """Lowest in step 40."""
    return [1 + more + abs(i - 40) / 40 for i in range(first, last)]


def put(
    s: Submission, arm: int, seed: int, number: int, first: int, loss: list[float | None], lr: list[float | None]
) -> None:
    trace.write(attempt.folder(seed_folder(s, arm, seed), number), first, {"loss": loss, "lr": lr})


def asked(capsys: Capture, s: Submission, arm: int, *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["lr", f"{list(s.arms)[arm]}{more[0] if more else ''}", *more[1:], "--out", str(s.out), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, printed


def test_the_mean_of_the_seeds_is_read_and_drawn(capsys: Capture, swept: Submission) -> None:
    code, told = asked(capsys, swept, 0)
    assert (code, told["seeds"]) == (0, [0, 1])
    assert told["losses"] == pytest.approx([v + 0.1 for v in losses(0, STEPS) if v is not None])
    assert told["lowest"] == pytest.approx(1e-4 * 10 ** (40 / 12))
    assert told["suggestion"] == 0.02
    picture = Path(told["picture"])
    assert picture == swept.out / told["id"] / "lr.png"
    with Image.open(picture) as image:
        assert image.size[0] > 1000


def test_of_one_seed_elsewhere(capsys: Capture, swept: Submission, tmp_path: Path) -> None:
    _, told = asked(capsys, swept, 0, "/1", "--to", str(tmp_path / "one.png"))
    assert told["seeds"] == [1]
    assert told["losses"][40] == pytest.approx(1.2)
    assert (tmp_path / "one.png").exists()


def test_a_person_is_told_the_override(capsys: Capture, swept: Submission) -> None:
    assert main(["lr", next(iter(swept.arms)), "--out", str(swept.out)]) == 0
    said = capsys.readouterr().out
    assert "optim.lr=0.02, a tenth" in said
    assert "lr.png" in said


def test_a_single_run_ends_with_its_suggestion(capsys: Capture, tmp_path: Path) -> None:
    line = [*TINY, *SMALL_MODEL, "data.subset=32", "epochs=6", "recipe=lr_finder", "track=[]", f"out={tmp_path}"]
    with initialized():
        (planned,) = compose_arms([line])
    run_arm(planned, Event())
    folder = tmp_path / planned.arm.id
    assert f"picture: {folder / 'lr.png'}" in "".join(capsys.readouterr().out.split("\n"))
    assert len(trace.read(folder / "seed-0")) == 24


@pytest.mark.parametrize(("arm", "why"), [(1, "use sched=range"), (2, "trace=true")])
def test_what_is_no_range_test_is_refused(capsys: Capture, swept: Submission, arm: int, why: str) -> None:
    code, told = asked(capsys, swept, arm)
    assert code == 1
    assert why in told["error"]
