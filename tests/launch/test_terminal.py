"""What a person sees of a sweep, while it runs and at its end."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console
from tiny import SMALL_MODEL, TINY

from launch.compose.arm import Work, names_of
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.paths import ROOT
from launch.status.outcome import Event, Outcome
from launch.status.sweep_status import Trial
from launch.status.trial_status import TrialStatus, format_duration
from launch.sweep import submission
from launch.sweep.submission import Submission
from launch.terminal import arm_table, live_table, summary
from launch.terminal.sweep_progress import Progress, draw_table
from launch.terminal.words import format_mean, mean_and_std
from tests.launch import handmade


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Thirty arms of two seeds."""
    rows = [[*TINY, "track=[mlflow]", "seeds=2", f"optim.lr=0.{n:02d}"] for n in range(1, 31)]
    out = f"out={tmp_path_factory.mktemp('out')}"
    with initialized():
        planned = compose_arms([[*row, out] for row in rows])
    return submission.create(planned, {"kind": "local"}, "the command")


def some_events(grid: Submission) -> list[Event]:
    """Some trials done, one failed, one running, one waited for."""
    done, failed, running, waiting, *_ = grid.works
    begin = {"event": "begin", "start": 0, "steps": 6, "epochs": 3, "device": "cpu (1 threads)", "slot": "cpu-0"}
    metrics = {"test_acc": 42.5, "train_loss": 1.0, "train_acc": 40.0, "lr": 0.1, "images_per_s": 100.0}
    epoch = {"event": "epoch", "seed": 0, "epoch": 2, "metrics": metrics}
    return [
        {"event": "found", "works": {done: {0: Outcome("done", test_acc=90.0)}}},
        {**begin, "work": failed},
        {**epoch, "work": failed},
        {"event": "end", "work": failed, "outcomes": {0: Outcome("failed", "error", "ValueError: no [good] at 17")}},
        {**begin, "work": running, "start": 2},
        {**epoch, "work": running},
        {"event": "wait", "work": waiting, "text": "another process is training it"},
        {"event": "note", "work": running, "text": "a note"},
        {"event": "note", "work": waiting, "text": "a note"},
        {"event": "stopping", "busy": 1},
    ]


def show_events(grid: Submission, console: Console) -> Progress:
    progress = Progress(grid, 2)
    view = live_table.choose_view(progress, console)
    for event in some_events(grid):
        progress.update(event)
        view.update(event)
        view.tick()
    view.close()
    return progress


def page(width: int, height: int, terminal: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(
        file=written, width=width, height=height, force_terminal=terminal, highlight=False, color_system=None
    ), written


@pytest.mark.parametrize("terminal", [False, True])
def test_what_happens_is_told(grid: Submission, terminal: bool) -> None:
    console, written = page(120, 40, terminal)
    show_events(grid, console)
    said = written.getvalue()
    for text in (
        "1 of 60 trials are done already",
        "lr=0.02 seed 0: failed (error): ValueError: no [good] at 17",
    ):
        assert text in said
    for text in ("lr=0.04 seed 0: another process", "a note", "stopping once 1 trial saved"):
        assert text in said
    assert ("resumed at step 2 of 6" in said) == (not terminal)
    assert ("[1 of 60 done, 1 failed] lr=0.02 seed 0: failed" in said) == (not terminal), "a failure is not done"
    assert said.count("a note") == 1, "what is true of many trials is said once"


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (60, 8), (40, 3)])
def test_the_table_is_never_larger_than_the_terminal(grid: Submission, width: int, height: int) -> None:
    console, written = page(width, height, terminal=False)
    progress = show_events(grid, page(120, 40, terminal=False)[0])
    console.print(draw_table(progress, width, height - 1))
    lines = written.getvalue().splitlines()
    assert len(lines) <= max(height - 1, 4)
    assert max(map(len, lines)) <= width
    if height >= 8:
        assert any("lr=0.03" in line and "running" in line and "2/3" in line for line in lines)
        assert any("lr=0.02" in line and "failed" in line for line in lines)
    if height < 30:
        assert " more arms: " in written.getvalue(), "arms that do not fit are counted"


def test_of_many_trials_epochs_are_no_lines_and_of_few_they_are(grid: Submission) -> None:
    console, written = page(120, 40, terminal=False)
    show_events(grid, console)
    assert "epoch 2/3" not in written.getvalue()
    progress = Progress(grid, 2)
    progress.trials = 4
    view = live_table.ProgressLines(progress, console)
    for event in some_events(grid):
        progress.update(event)
        view.update(event)
    assert "epoch 2/3  loss 1.000  train 40.00%  test 42.50%  lr 0.1  100 img/s" in written.getvalue()


def test_time_left_is_what_the_epochs_so_far_took(grid: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(grid, slots=2)
    work, *_ = grid.works
    row = progress.rows[work.id]
    assert progress.seconds_left(row) is None
    assert progress.total_seconds_left() is None
    progress.update({"event": "begin", "work": work, "start": 0, "steps": 6, "epochs": 3, "device": "cpu"})
    now[0] += 10.0
    progress.update({"event": "epoch", "work": work, "seed": 0, "epoch": 1, "metrics": {"test_acc": None}})
    assert progress.seconds_left(row) == pytest.approx(20.0)
    assert progress.total_seconds_left() == pytest.approx((20.0 + 59 * 30.0) / 2)


@pytest.mark.parametrize("terminal", [False, True])
def test_the_summary(grid: Submission, terminal: bool) -> None:
    progress = Progress(grid, 2)
    first, second, third, *_ = grid.arms
    good = {0: Outcome("done", test_acc=90.0), 1: Outcome("done", test_acc=92.0)}
    bad = {s: Outcome("failed", "error", f"ValueError: at step {s} in /tmp/x{s}") for s in (0, 1)}
    lost = {0: Outcome("failed", "killed", "the worker was ended by SIGKILL"), 1: Outcome("stopped")}
    for arm, outcomes in ((first, good), (second, bad), (third, lost)):
        progress.rows[arm].outcomes |= outcomes
    console, written = page(100, 24, terminal)
    summary.show(grid, progress, console, ["cutout trains exactly as baseline"])
    said = written.getvalue()
    assert "note        cutout trains exactly as baseline" in said
    assert "91.00 ± 1.41" in said
    assert "2 x error: ValueError: at step 0 in /tmp/x0; such as" in said
    assert "1 x killed: the worker was ended by SIGKILL" in said
    assert "2 of 60 done, 3 failed, 1 stopped" in said
    assert "mlflow ui --backend-store-uri sqlite:///" in said
    assert ("best of 30 arms" in said) == terminal
    if terminal:
        assert len(said.splitlines()) <= 24
    else:
        assert "1 failed: killed" in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.26, "0.3 s"), (5.0, "5 s"), (9.96, "10 s"), (90.0, "90 s"), (150.0, "2.5 min"), (600.0, "10 min"),
        (9000.0, "2.5 h"), (36000.0, "10 h"), (259200.0, "3 days"),
    ],
)  # fmt: skip
def test_times_are_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_accuracies_have_their_spread(tmp_path: Path) -> None:
    assert format_mean(*mean_and_std([])) == ""
    assert format_mean(*mean_and_std([91.0])) == "91.00"
    assert format_mean(*mean_and_std([90.0, 91.0, 92.0])) == "91.00 ± 1.00"


def test_the_summary_says_what_was_done_before(tmp_path: Path) -> None:
    made = handmade.sweep(tmp_path, "seeds=2", "aug=cutout")
    done = {"event": "done", "time": made.time - 7300.0}
    for work in made.works[:2]:
        folder = tmp_path / work.id / f"seed-{work.seeds[0]}"
        handmade.make(folder, 1, handmade.start(), handmade.epoch(3), done)
        handmade.finish(folder)

    def shown(*works: Work) -> str:
        progress, (console, written) = Progress(made, 1), page(120, 40, terminal=False)
        progress.update({"event": "found", "works": {w: {w.seeds[0]: Outcome("done", test_acc=9.0)} for w in works}})
        summary.show(made, progress, console)
        return written.getvalue()

    assert "2 of these were done already, the last 2 h ago, and not run again" in shown(*made.works[:2])
    assert "done already" not in shown()
    third = made.works[2]
    handmade.make(tmp_path / third.id / f"seed-{third.seeds[0]}", 1, handmade.start(), done)
    handmade.finish(tmp_path / third.id / f"seed-{third.seeds[0]}")
    assert "already done 2 h ago; nothing was run" in shown(*made.works)


def test_the_end_of_a_long_message_says_what_helps_and_is_shown() -> None:
    message = "SLURM refuses it " * 50 + "; ask for less"
    assert live_table.describe_outcome(Outcome("failed", "node", message)).endswith("; ask for less")


def test_a_row_names_the_causes_of_the_state_that_it_shows(grid: Submission) -> None:
    planned = next(iter(grid.arms.values()))
    states = [TrialStatus("stopped", "asked"), TrialStatus("running")]
    (row,) = arm_table.arm_rows([Trial(planned, seed, Path(), state) for seed, state in enumerate(states)])
    assert (row.state, row.cause) == ("running", "")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["launch/run.py", *TINY, *SMALL_MODEL, "epochs=-1"], "composing and checking the arm"),
        (["launch/run.py", "-m", *TINY, "aug=cutout,mixup", "hydra/launcher=plan"], "composing and checking 2 arms"),
        (["-m", "launch", "table", "start"], "composing and checking the rows"),
    ],
)
def test_what_takes_seconds_is_said_on_a_terminal_and_leaves_nothing_elsewhere(
    tmp_path: Path, line: list[str], says: str
) -> None:
    line = [*line, f"out={tmp_path}/runs"] if line[0] == "launch/run.py" else line
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, *line], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs) as shell:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # closed by the other side
            while read := os.read(ours, 4096):
                shown += read
        assert shell.stdout is not None
        printed = shell.stdout.read().decode()
    os.close(ours)
    assert says in shown.decode()
    assert says not in printed
    for more in ({}, {"FORCE_COLOR": "1"}):
        env = {**os.environ, **more}
        done = subprocess.run([sys.executable, *line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert says not in done.stderr
        assert more or done.stdout == printed


def test_status_and_the_live_table_mean_the_same_by_an_epoch(grid: Submission) -> None:
    """One seed has hardly begun: its arm is not at the mean of both."""
    planned = next(iter(grid.arms.values()))
    states = [TrialStatus("running", epoch=32), TrialStatus("running", epoch=11)]
    rows = arm_table.arm_rows([Trial(planned, seed, Path(), state) for seed, state in enumerate(states)])
    console = Console(file=io.StringIO(), width=120)
    console.print(arm_table.table(rows, names_of([planned]), 120))
    progress = Progress(grid, 1)
    for seed, state in enumerate(states):
        work = Work(planned.arm.id, (seed,))
        progress.update({"event": "begin", "work": work, "start": 0, "steps": 6, "epochs": 3, "device": "cpu"})
        progress.update({"event": "epoch", "work": work, "seed": seed, "epoch": state.epoch, "metrics": {}})
    live = Console(file=io.StringIO(), width=120)
    live.print(draw_table(progress, 120, 40))
    for shown in (console, live):
        assert "32/3 11/3" in shown.file.getvalue()  # type: ignore[attr-defined]
