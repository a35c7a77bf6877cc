"""One process at a time trains a seed, whichever of them is killed, requeued, superseded or cancelled."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from holders import HOLDER, process, said

from ablation.errors import Cancelled
from ablation.store.attempt import Attempt, Busy, folder, live, numbers, owner
from ablation.store.claim import claim

RACER = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from ablation.store.attempt import Busy
from ablation.store.claim import claim
print("ready", flush=True)
began, rounds = float(sys.stdin.readline()), int(sys.argv[2])
with ExitStack() as held:
    won = []
    for k in range(rounds):
        while time.monotonic() < began + k * 0.01:
            pass
        try:
            won.append((k, held.enter_context(claim(Path(sys.argv[1]) / str(k), lease=60)).number))
        except Busy:
            pass
    print(won, flush=True)
    sys.stdin.readline()
"""


def test_of_processes_that_claim_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    rounds = 100
    with (
        process(RACER, tmp_path, rounds) as a,
        process(RACER, tmp_path, rounds) as b,
        process(RACER, tmp_path, rounds) as c,
    ):
        racers = (a, b, c)
        assert [said(r) for r in racers] == ["ready"] * 3
        start = time.monotonic() + 0.1
        for racer in racers:
            assert racer.stdin is not None
            print(start, file=racer.stdin, flush=True)
        won = [json.loads(said(r).replace("(", "[").replace(")", "]")) for r in racers]
    assert sorted(k for wins in won for k, _ in wins) == list(range(rounds))
    assert {number for wins in won for _, number in wins} == {1}
    assert [p.name for p in tmp_path.glob("*/*") if p.name != "attempt-1"] == []


def test_a_killed_holder_is_replaced_at_once(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path) as holder:
        assert said(holder) == "1"
        with pytest.raises(Busy, match=f"process {holder.pid} on") as busy, claim(tmp_path, lease=0.001):
            pass
        assert busy.value.owner is not None
        assert busy.value.owner.pid == holder.pid
        holder.kill()  # and not waited for: it is a zombie
        began = time.monotonic()
        while live(folder(tmp_path, 1), 60):
            assert time.monotonic() < began + 20
        with claim(tmp_path, lease=60) as attempt:
            assert attempt.number == 2
    assert numbers(tmp_path) == [1, 2]


LOOP = """
import sys
from pathlib import Path
from ablation.store.claim import claim
print("ready", flush=True)
while True:
    with claim(Path(sys.argv[1]), lease=60) as attempt:
        assert attempt.number
"""


def test_killed_at_any_instant_the_next_one_gets_it(tmp_path: Path) -> None:
    generator = random.Random(0)
    for _ in range(12):
        with process(LOOP, tmp_path) as holder:
            assert said(holder) == "ready"
            time.sleep(generator.uniform(0, 0.01))
            holder.kill()
            holder.wait()
        with claim(tmp_path, lease=60) as attempt:
            assert all(owner(folder(tmp_path, n)) for n in numbers(tmp_path))
            assert list(tmp_path.glob(".claim-*")) == []
        assert numbers(tmp_path) == list(range(1, attempt.number + 1))


def test_what_killed_attempts_leave_is_cleared_up_by_the_next(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path) as holder:
        assert said(holder) == "1"
        holder.kill()
        holder.wait()
    (folder(tmp_path, 1) / "result.json.0123.tmp").touch()
    with claim(tmp_path, lease=60):
        assert {p.name for p in folder(tmp_path, 1).iterdir()} == {"owner.json"}


def test_a_slurm_job_that_is_known_to_be_gone_is_superseded(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3", SLURM_JOB_ID="9") as holder:
        assert said(holder) == "1"
        with pytest.raises(Busy, match=r"SLURM job 7_3"), claim(tmp_path, 60, supersede={"7", "9"}):
            pass
        with claim(tmp_path, 60, supersede={"7_3"}) as attempt:
            assert attempt.number == 2
            assert not (folder(tmp_path, 1) / "beat").exists()  # it holds its attempt no more, alive or not


def test_a_requeued_job_replaces_itself_but_no_sibling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with process(HOLDER, tmp_path, SLURM_JOB_ID="9") as holder:
        assert said(holder) == "1"
        monkeypatch.setenv("SLURM_JOB_ID", "9")
        with pytest.raises(Busy), claim(tmp_path, 60):  # another worker of the same job
            pass
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        with claim(tmp_path, 60) as attempt:
            assert attempt.number == 2


def test_an_orphan_of_a_requeued_job_does_not_take_the_trial_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process(HOLDER, tmp_path, SLURM_JOB_ID="9", SLURM_RESTART_COUNT="10") as successor:
        assert said(successor) == "1"
        monkeypatch.setenv("SLURM_JOB_ID", "9")
        for before in ("", "1", "9", "10"):
            monkeypatch.setenv("SLURM_RESTART_COUNT", before)
            with pytest.raises(Busy, match="SLURM job 9"), claim(tmp_path, 60):
                pass
        monkeypatch.setenv("SLURM_RESTART_COUNT", "11")
        with claim(tmp_path, 60) as attempt:
            assert attempt.number == 2


def test_what_is_cancelled_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "cancel").touch()
    with pytest.raises(Cancelled, match="submit it again"), claim(tmp_path, lease=60):
        pass
    assert numbers(tmp_path) == []


def test_the_heartbeat_sees_that_a_trial_is_cancelled(tmp_path: Path) -> None:
    with claim(tmp_path, lease=0.06) as attempt:
        assert isinstance(attempt, Attempt)
        assert not attempt.cancelled
        (tmp_path / "cancel").touch()
        deadline = time.monotonic() + 20
        while not attempt.cancelled:
            assert time.monotonic() < deadline


def test_looking_at_attempts_imports_no_torch() -> None:
    program = "import sys, ablation.store.claim, ablation.store.result; print('torch' in sys.modules)"
    with process(program) as child:
        assert said(child) == "False"
