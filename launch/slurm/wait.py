"""`wait=true`: the live table of a sweep on the cluster, fed from its files, and the rounds that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from ablation.errors import Stopped
from launch.slurm import tell
from launch.slurm.rounds import Rounds
from launch.status.outcome import Outcome, Trial
from launch.status.sweep_status import Trial as Standing
from launch.status.sweep_status import sweep_states
from launch.sweep import record
from launch.sweep.submission import Submission
from launch.terminal import summary
from launch.terminal.follow import follow
from launch.terminal.progress import Board


def wait(submission: Submission) -> dict[Trial, Outcome]:
    """Show the sweep until nothing more will happen; returns what became of each trial.

    Raises:
        Stopped: on Ctrl-C; the jobs go on.
    """
    console = Console(highlight=False)
    rounds = Rounds([submission.folder], lambda text: console.print(text, markup=False, soft_wrap=True))

    def look() -> Sequence[Standing]:
        rounds.make()
        return sweep_states([submission]).trials

    try:
        follow(look, rounds.over, submission, console)
    except KeyboardInterrupt as e:
        lines = ["left to the cluster: its jobs go on", *tell.farewell(submission)]
        raise Stopped("\n".join(lines)) from e
    for line in record.upload(submission):
        console.print(f"MLflow: {line}", markup=False, soft_wrap=True)
    board, trials = Board(submission, 1), sweep_states([submission]).trials
    outcomes = {(t.planned.arm.id, t.seed): _outcome(t) for t in trials}
    for (id_, seed), outcome in outcomes.items():
        board.rows[id_].outcomes[seed] = outcome
    summary.show(submission, board, console)
    return outcomes


def _outcome(t: Standing) -> Outcome:
    kind = "stopped" if t.state.kind in ("new", "queued", "running") else t.state.kind
    return Outcome(kind, t.state.cause, t.state.message, t.state.test_acc)
