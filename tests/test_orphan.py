"""A trial that is taken over while its process still runs: what counts is the new attempt's alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.errors import Cancelled, Stopped
from ablation.store import attempt, checkpoint, journal
from ablation.store.attempt import Fenced
from ablation.store.result import finished

ROOT = Path(__file__).resolve().parents[1]
LONG = (*TINY, *SMALL_MODEL, "epochs=12")

ORPHAN = f"""
import os, signal, sys
from pathlib import Path
from tiny import Silent, config, run

class Stopping(Silent):
    def tick(self) -> None:
        super().tick()
        if self.steps == 5:
            os.kill(os.getpid(), signal.SIGSTOP)

(outcome,) = run(config(*{LONG}), Path(sys.argv[1]), Stopping()).values()
print(type(outcome).__name__, outcome)
"""


def wait_until_stopped(pid: int) -> None:
    """Until a child has got SIGSTOP."""
    deadline = time.monotonic() + 120
    while not os.WIFSTOPPED(os.waitpid(pid, os.WNOHANG | os.WUNTRACED)[1]):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def epochs(events: list[journal.Event]) -> list[int]:
    return [e["epoch"] for e in journal.history(events)]


def counted(seed: Path) -> tuple[Any, ...]:
    """What counts of a seed: result, epochs, checkpoint."""
    steps = [c["step"] for c in checkpoint.usable(seed)]
    return finished(seed), journal.history(journal.events(seed)), steps


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "resumable"])
def test_an_orphan_that_wakes_up_changes_nothing(tmp_path: Path, ends: bool) -> None:
    """Stopped in the middle, superseded by a process that ends the trial, or is stopped itself; then it goes on."""
    straight = run(config(*LONG), tmp_path / "straight")[0]
    assert isinstance(straight, dict)
    out, seed = tmp_path / "hit", tmp_path / "hit" / "seed-0"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SLURM_JOB_ID": "77"}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(out)], env=env, stdout=subprocess.PIPE, text=True
    ) as orphan:
        try:
            wait_until_stopped(orphan.pid)
            assert epochs(journal.events(seed)) == [1, 2]
            if ends:
                result = run(config(*LONG), out, supersede={"77"})[0]
                assert isinstance(result, dict)
                assert (result["attempt"], result["attempts"]) == (2, 2)
            else:
                with pytest.raises(Stopped):
                    run(config(*LONG), out, Silent(2), supersede={"77"})
            before = counted(seed)
            orphan.send_signal(signal.SIGCONT)
            said, _ = orphan.communicate(timeout=120)
        finally:
            orphan.kill()
    assert said.startswith("Fenced ")
    assert "lost to attempt 2" in said
    assert counted(seed) == before
    resumed = run(config(*LONG), out)[0]
    assert isinstance(resumed, dict)
    assert {k: resumed[k] for k in ("test_acc", "test_loss", "best_epoch")} == {
        k: straight[k] for k in ("test_acc", "test_loss", "best_epoch")
    }
    assert epochs(journal.events(seed)) == list(range(1, 13))
    one, other = final_weights(tmp_path / "straight"), final_weights(out)
    assert all(torch.equal(one[k], other[k]) for k in one)


def take_over(seed: Path) -> None:
    """As another host would."""
    made = attempt.folder(seed, attempt.latest(seed) + 1)
    made.mkdir()
    (made / "beat").touch()


def cancel(seed: Path) -> None:
    """Put the marker there, and wait until the heartbeat has looked: it does so after each beat."""
    (seed / "cancel").touch()
    beat, deadline = attempt.folder(seed, 1) / "beat", time.monotonic() + 60
    for _ in range(2):
        last = beat.stat().st_mtime_ns
        while beat.stat().st_mtime_ns == last:
            assert time.monotonic() < deadline
            time.sleep(0.002)


def test_a_trial_that_lost_its_seed_says_so_and_writes_nothing_more(tmp_path: Path) -> None:
    class Robbed(Silent):
        def tick(self) -> None:
            super().tick()
            if self.steps == 3:
                take_over(tmp_path / "seed-0")

    watch = Robbed()
    (outcome,) = run(config(*TINY, *SMALL_MODEL), tmp_path, watch).values()
    assert isinstance(outcome, Fenced)
    assert watch.steps == 4, "noticed when the epoch was to be written"
    assert epochs(journal.events(tmp_path / "seed-0")) == [1]
    assert not (tmp_path / "seed-0" / "result.json").exists()


def test_of_fused_seeds_those_that_are_left_go_on(tmp_path: Path) -> None:
    settings_ = config(*TINY, *SMALL_MODEL) | {"fuse": True, "seeds": [0, 1, 2], "lease": 0.06}
    run(settings_, tmp_path / "straight")

    class Meddling(Silent):
        def tick(self) -> None:
            super().tick()
            if self.steps == 3:
                take_over(tmp_path / "hit" / "seed-0")
                cancel(tmp_path / "hit" / "seed-1")

    outcomes = run(settings_, tmp_path / "hit", Meddling())
    assert isinstance(outcomes[0], Fenced)
    assert isinstance(outcomes[1], Cancelled)
    assert journal.events(tmp_path / "hit" / "seed-1")[-1]["why"] == "cancelled"
    one, other = final_weights(tmp_path / "straight", 2), final_weights(tmp_path / "hit", 2)
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_cancelled_trial_saves_stops_and_is_not_started_again(tmp_path: Path) -> None:
    settings_ = config(*TINY, *SMALL_MODEL) | {"lease": 0.06}
    run(settings_, tmp_path / "straight")
    seed = tmp_path / "hit" / "seed-0"

    class Cancelling(Silent):
        def tick(self) -> None:
            super().tick()
            if self.steps == 3:
                cancel(seed)

    (outcome,) = run(settings_, tmp_path / "hit", Cancelling()).values()
    assert isinstance(outcome, Cancelled)
    last = journal.events(seed)[-1]
    assert (last["event"], last["why"]) == ("stopped", "cancelled")
    assert 3 <= last["step"] < 6
    assert not attempt.live(attempt.folder(seed, 1), lease=60)
    (outcome,) = run(settings_, tmp_path / "hit").values()
    assert isinstance(outcome, Cancelled)
    assert attempt.numbers(seed) == [1]
    (seed / "cancel").unlink()
    (outcome,) = run(settings_, tmp_path / "hit").values()
    assert isinstance(outcome, dict)
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "hit")
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_resumed_attempt_has_its_own_checkpoint_and_deletes_the_earlier_ones(tmp_path: Path) -> None:
    settings_ = config(*TINY, *SMALL_MODEL)
    for steps in (3, 1):
        with pytest.raises(Stopped):
            run(settings_, tmp_path, Silent(steps))
        made = attempt.folder(tmp_path / "seed-0", attempt.latest(tmp_path / "seed-0"))
        assert (made / "last.pt").exists()
    first, second = ({p.name for p in attempt.folder(tmp_path / "seed-0", n).iterdir()} for n in (1, 2))
    assert first == {"owner.json", "journal.jsonl", "code.json"}
    assert second == {"owner.json", "journal.jsonl", "last.pt", "previous.pt", "code.json"}
    assert [e["why"] for e in journal.events(tmp_path / "seed-0") if e["event"] == "stopped"] == ["asked", "asked"]


def test_a_lower_attempt_s_result_is_trained_anew_from_what_counts(tmp_path: Path) -> None:
    """An orphan that wrote its result in the last instant: the attempt after it ends the trial all the same."""
    settings_ = config(*TINY, *SMALL_MODEL)
    (first,) = run(settings_, tmp_path).values()
    attempt.folder(tmp_path / "seed-0", 2).mkdir()
    assert finished(tmp_path / "seed-0") is None
    watch = Silent()
    (outcome,) = run(settings_, tmp_path, watch).values()
    assert isinstance(first, dict)
    assert isinstance(outcome, dict)
    assert watch.steps == 0, "the last checkpoint was of the last step"
    assert (outcome["attempt"], outcome["attempts"], outcome["test_acc"]) == (3, 3, first["test_acc"])
    assert json.loads((tmp_path / "seed-0" / "result.json").read_text())["attempt"] == 3


class Writer:
    """An attempt as the trainer makes it, but that nothing fences off once it has started: the worst of orphans.

    Its state is the list of who trained each epoch, kept in the checkpoint, and beside each epoch in the journal.
    """

    def __init__(self, seed: Path, number: int) -> None:
        self.seed, self.number, self.folder = seed, number, attempt.folder(seed, number)
        self.by: list[int] = list(next(checkpoint.usable(seed), {"by": []})["by"])
        self.journal = journal.Journal(self.folder / journal.JOURNAL)
        self.stage = 0

    def go(self, save: bool) -> None:
        """Do the next thing: start, save what it starts from, then train and save as asked."""
        self.stage += 1
        if self.stage == 1:
            self.journal.write("start", step=len(self.by))
        elif self.stage == 2 or save:
            checkpoint.save(self.folder, {"step": len(self.by), "by": self.by})
            checkpoint.discard(self.seed, self.number)
        else:
            self.by.append(self.number)
            self.journal.write("epoch", epoch=len(self.by), step=len(self.by), by=self.number)


@given(
    st.lists(st.tuples(st.sampled_from(["train", "train", "train", "save", "claim"]), st.integers(0, 2)), max_size=40)
)
@settings(max_examples=60, deadline=None)
def test_history_is_the_checkpoint_s_whatever_orphans_write(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    """A new attempt may be made at any time, and those before it go on: each epoch stands once, by whom it counts."""
    seed = tmp_path_factory.mktemp("seed")
    writers: list[Writer] = [Writer(seed, 1)]
    for action, ago in actions:
        if action == "claim":
            writers.append(Writer(seed, len(writers) + 1))
            continue
        writer = writers[max(0, len(writers) - 1 - ago)]
        if writer.stage or writer is writers[-1]:
            writer.go(action == "save")
        if writers[-1].stage:
            held = journal.history(journal.events(seed))
            assert [e["by"] for e in held] == writers[-1].by
            assert [e["epoch"] for e in held] == list(range(1, len(held) + 1))
    for writer in writers:
        writer.journal.close()
