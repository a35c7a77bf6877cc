"""One process at a time trains a seed, whichever of them is killed, stopped, slow, or taken for dead."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ablation.errors import AblationError, Cancelled
from ablation.store import heartbeat
from ablation.store.attempt import Attempt, Busy, Fenced, Owner, folder, latest, live, numbers, owner
from ablation.store.claim import Finished, claim
from ablation.store.result import Damaged, finished, look, write

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def process(program: str, *arguments: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process; killed at the end if it still runs."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    line = [sys.executable, "-c", program, *map(str, arguments)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env={**os.environ, "PYTHONPATH": path, **env}, **pipes) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


HOLDER = """
import sys
from pathlib import Path
from ablation.store.claim import claim
with claim(Path(sys.argv[1]), lease=60) as attempt:
    print(attempt.number, flush=True)
    sys.stdin.readline()
"""

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


def test_a_pid_that_another_process_has_now_is_not_the_holder(tmp_path: Path) -> None:
    foreign(tmp_path, replace(Owner.here(), born="12"))
    assert not live(folder(tmp_path, 1), 60)


def foreign(seed_folder: Path, holder: Owner | None = None, beat_ago: float = 0) -> Path:
    """An attempt by a process that cannot be looked at from here, or by the one given."""
    made = folder(seed_folder, latest(seed_folder) + 1)
    made.mkdir(parents=True)
    elsewhere = replace(Owner.here(), host="elsewhere", boot="another")
    (made / "owner.json").write_text(json.dumps(asdict(holder or elsewhere)))
    (made / "beat").touch()
    now = (made / "beat").stat().st_mtime
    os.utime(made / "beat", (now - beat_ago, now - beat_ago))
    return made


@pytest.fixture
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before somebody is replaced, a heartbeat is waited for; here not for long."""
    monkeypatch.setattr(heartbeat, "_WATCHED", 0.01)


@pytest.mark.usefixtures("short_look")
def test_a_holder_on_another_host_is_replaced_after_the_lease(tmp_path: Path) -> None:
    made = foreign(tmp_path, beat_ago=50)
    assert live(made, lease=60)
    with pytest.raises(Busy, match="on elsewhere"), claim(tmp_path, lease=60):
        pass
    assert not live(made, lease=45)
    with claim(tmp_path, lease=45) as attempt:
        assert attempt.number == 2
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.usefixtures("short_look")
def test_the_holder_s_own_lease_counts_if_it_is_longer(tmp_path: Path) -> None:
    elsewhere = replace(Owner.here(lease=300), host="elsewhere", boot="another")
    made = foreign(tmp_path, elsewhere, beat_ago=200)
    assert owner(made) == elsewhere
    assert live(made, lease=60)
    with pytest.raises(Busy), claim(tmp_path, lease=60):
        pass
    os.utime(made / "beat", (0, 0))
    with claim(tmp_path, lease=60) as attempt:
        found = owner(attempt.folder)
        assert found is not None
        assert found.lease == 60


def test_an_owner_that_told_no_lease_is_judged_by_ours(tmp_path: Path) -> None:
    made = foreign(tmp_path, beat_ago=50)
    older = json.loads((made / "owner.json").read_text())
    del older["lease"]
    (made / "owner.json").write_text(json.dumps(older))
    assert owner(made) is not None
    assert live(made, lease=60)
    assert not live(made, lease=45)


def test_ages_are_of_the_file_server_s_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = foreign(tmp_path, beat_ago=30)
    true = time.time()
    for wrong in (true + 3600, true - 3600):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        assert live(made, lease=60)
        assert not live(made, lease=20)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_was_set_frees_nobody_who_lives_and_keeps_nobody_who_died(
    tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a laptop has slept too: until the next heartbeat the last one is of hours ago, or of hours to come."""
    monkeypatch.setattr(heartbeat, "_WATCHED", 6)  # so that a busy machine is not too late
    with claim(tmp_path, lease=0.6) as attempt:
        held = json.loads((attempt.folder / "owner.json").read_text())
        (attempt.folder / "owner.json").write_text(json.dumps(held | {"host": "elsewhere"}))
        set_clock(attempt.folder / "beat", hours)
        assert live(attempt.folder, lease=0.6, watch=True)
        set_clock(attempt.folder / "beat", hours)
        with pytest.raises(Busy, match="on elsewhere"), claim(tmp_path, lease=0.6):
            pass
    set_clock(foreign(tmp_path) / "beat", hours)
    with claim(tmp_path, lease=0.6) as attempt:
        assert attempt.number == 3


def set_clock(beat: Path, hours: float) -> None:
    """Let a file have been touched so much later than now."""
    then = time.time() + 3600 * hours
    os.utime(beat, (then, then))


def test_what_killed_attempts_leave_is_cleared_up_by_the_next(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path) as holder:
        assert said(holder) == "1"
        holder.kill()
        holder.wait()
    (folder(tmp_path, 1) / "result.json.0123.tmp").touch()
    with claim(tmp_path, lease=60):
        assert {p.name for p in folder(tmp_path, 1).iterdir()} == {"owner.json"}


@pytest.mark.parametrize("text", [None, "", "{", '{"host": 1}', "[]"])
def test_an_owner_that_cannot_be_read_is_judged_by_its_heartbeat(tmp_path: Path, text: str | None) -> None:
    for ago, alive in ((0, True), (61, False)):
        made = foreign(tmp_path, beat_ago=ago)
        (made / "owner.json").unlink() if text is None else (made / "owner.json").write_text(text)
        assert owner(made) is None
        assert live(made, lease=60) is alive
        assert latest(tmp_path) == 1 + (ago > 0)


def test_a_holder_beats(tmp_path: Path) -> None:
    with claim(tmp_path, lease=0.06) as attempt:
        beat, deadline = attempt.folder / "beat", time.monotonic() + 20
        for _ in range(3):
            last = beat.stat().st_mtime_ns
            while beat.stat().st_mtime_ns == last:
                assert time.monotonic() < deadline
    assert not beat.exists()
    assert not live(attempt.folder, 60)


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


def test_whoever_was_superseded_may_write_nothing(tmp_path: Path) -> None:
    with claim(tmp_path, lease=0.06) as attempt:
        attempt.check()
        foreign(tmp_path)
        with pytest.raises(Fenced, match=r"attempt-1: lost to attempt 2, of process \d+ on elsewhere"):
            attempt.check()
        (attempt.folder / "beat").unlink()  # as whoever claims does
        deadline = time.monotonic() + 20
        while not attempt.lost:  # noticed by the heartbeat, should nothing be written for long
            assert time.monotonic() < deadline
        with pytest.raises(Fenced):
            write(attempt, {"test_acc": 1.0})
        assert not (tmp_path / "result.json").exists()


SLEEPER = """
import os, signal, sys
from pathlib import Path
from ablation.store.attempt import Fenced
from ablation.store.claim import claim
from ablation.store.result import write

act = {name: getattr(os, name) for name in ("link", "replace", "rename")}

def asleep(name):
    def call(source, target, *rest, **others):  # the last moment before the result is there
        if str(target) == str(Path(sys.argv[1]) / "result.json"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return act[name](source, target, *rest, **others)
    return call

with claim(Path(sys.argv[1]), lease=60) as attempt:
    for name in act:
        setattr(os, name, asleep(name))
    try:
        write(attempt, {"attempt": attempt.number, "test_acc": 1.0})
        print("written")
    except Fenced as e:
        print(f"fenced: {e}")
"""


@pytest.mark.parametrize("over", [True, False])
def test_who_slept_while_it_wrote_its_result_does_not_hide_another_s(tmp_path: Path, over: bool) -> None:
    """Suspended after its last look, until another process was given the seed, and has ended it or not yet."""
    with process(SLEEPER, tmp_path) as sleeper:
        while not os.WIFSTOPPED(os.waitpid(sleeper.pid, os.WNOHANG | os.WUNTRACED)[1]):
            time.sleep(0.01)
        held = json.loads((folder(tmp_path, 1) / "owner.json").read_text())
        (folder(tmp_path, 1) / "owner.json").write_text(json.dumps(held | {"job": "7"}))
        with claim(tmp_path, lease=60, supersede={"7"}) as attempt:
            result = {"attempt": attempt.number, "test_acc": 2.0}
            if over:
                write(attempt, result)
            sleeper.send_signal(signal.SIGCONT)
            assert said(sleeper).startswith("fenced: " if over else "written")
            assert finished(tmp_path) == (result if over else None)
            if not over:
                write(attempt, result)
    assert finished(tmp_path) == result


def test_a_result_counts_unless_there_is_a_later_attempt(tmp_path: Path) -> None:
    assert finished(tmp_path) is None
    with claim(tmp_path, lease=60) as attempt:
        write(attempt, {"attempt": 1, "test_acc": 1.0})
        assert finished(tmp_path) == {"attempt": 1, "test_acc": 1.0}
        assert not (attempt.folder / "result.json").exists()
    with pytest.raises(Finished), claim(tmp_path, lease=60):
        pass
    folder(tmp_path, 2).mkdir()
    assert finished(tmp_path) is None
    with claim(tmp_path, lease=60) as attempt:
        write(attempt, {"attempt": 3, "test_acc": 2.0})
    assert finished(tmp_path) == {"attempt": 3, "test_acc": 2.0}


def test_a_result_from_before_there_were_attempts_counts(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"test_acc": 1.0}')
    folder(tmp_path, 1).mkdir()
    assert finished(tmp_path) == {"test_acc": 1.0}


@pytest.mark.parametrize(
    "text", ["", '{"test_acc": 1.0, "att', "[]", "3", "{}", '{"attempt": null, "test_acc": 1.0}', "\xff"]
)
def test_a_damaged_result_is_told_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Damaged, match=r"result.json: is damaged \(.+\); delete it: the trial ends again") as told:
        finished(tmp_path)
    assert isinstance(look(tmp_path), Damaged)
    with pytest.raises(Damaged, match="delete it"), claim(tmp_path, lease=60):
        pass
    assert numbers(tmp_path) == []
    assert isinstance(told.value, AblationError)


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


def test_signals_do_not_free_a_stopped_holder(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path) as holder:
        assert said(holder) == "1"
        holder.send_signal(signal.SIGSTOP)
        assert live(folder(tmp_path, 1), lease=0.001), "it runs, and may go on at any time"
