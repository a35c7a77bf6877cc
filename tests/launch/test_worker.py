"""A worker process at the end of its line."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ablation.store import journal
from tests.launch.workshop import Worker, mischief, submission, tricks

LONG = ["epochs=500"]


@pytest.fixture(autouse=True)
def _own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tricks(tmp_path / "mine")))


def test_it_imports_once_and_tells_of_each_trial(tmp_path: Path) -> None:
    made = submission(tmp_path, ["seeds=2"])
    with Worker(made) as worker:
        worker.event("ready")
        for work in made.works:
            worker.train(work)
            begin = worker.event("begin")
            assert (begin["start"], begin["steps"], begin["epochs"]) == (0, 6, 3)
            assert worker.event("epoch")["metrics"]["test_acc"] >= 0
            ended = worker.event("end")
            assert ended["work"] == [work.id, list(work.seeds)]
            assert ended["outcomes"][str(work.seeds[0])]["state"] == "done"
        worker.order({"close": True})
        worker.end()
        assert worker.process.returncode == 0
    assert sorted(p.parent.name for p in tmp_path.glob("*/seed-*/result.json")) == ["seed-0", "seed-1"]


def test_what_libraries_print_is_not_on_the_line_and_asked_to_close_it_finishes_first(tmp_path: Path) -> None:
    made = submission(tmp_path, mischief("print"))
    with Worker(made) as worker:
        worker.train(made.works[0])
        worker.order({"close": True})
        assert worker.event("end")["outcomes"]["0"]["state"] == "done"
        said = worker.end()
        assert worker.process.returncode == 0
    for text in ("a library prints", "a C library prints", "a child prints", "and prints"):
        assert text in said


def test_an_exception_fails_its_trial_only(tmp_path: Path) -> None:
    made = submission(tmp_path, mischief("raise"), mischief("leave"), [])
    with Worker(made) as worker:
        *bad, good = made.works
        for work, said in zip(bad, ("RuntimeError: it broke", "SystemExit: I leave"), strict=True):
            worker.train(work)
            outcome = worker.event("end")["outcomes"]["0"]
            assert (outcome["state"], outcome["cause"]) == ("failed", "error")
            assert said in outcome["message"]
            last = journal.events(tmp_path / work.id / "seed-0")[-1]
            assert (last["event"], last["cause"]) == ("failed", "error")
            assert said.partition(": ")[2] in last["message"]
        worker.train(good)
        assert worker.event("end")["outcomes"]["0"]["state"] == "done"


def test_a_driver_that_is_gone_is_noticed_and_nothing_is_lost(tmp_path: Path) -> None:
    made = submission(tmp_path, LONG)
    with Worker(made) as worker:
        worker.train(made.works[0])
        worker.event("epoch")
        worker.end()  # closes its input, and reads on
        assert worker.process.returncode == 0
    (seed,) = tmp_path.glob("*/seed-0")
    assert [e["event"] for e in journal.events(seed)][-1] == "stopped"
    assert list(seed.glob("attempt-1/last.pt"))


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGUSR2])
def test_asked_to_stop_it_saves(tmp_path: Path, number: signal.Signals) -> None:
    made = submission(tmp_path, LONG)
    with Worker(made) as worker:
        worker.train(made.works[0])
        worker.event("epoch")
        worker.process.send_signal(number)
        assert worker.event("end")["outcomes"]["0"]["state"] == "stopped"
        assert worker.process.wait(60) == 0
    assert list(tmp_path.glob("*/seed-0/attempt-1/last.pt"))


@pytest.mark.parametrize("why", [pytest.param("driver", marks=pytest.mark.slow), "signal"])
def test_whatever_it_hangs_in_it_is_not_there_for_ever(tmp_path: Path, why: str) -> None:
    made = submission(tmp_path, mischief("sleep"))
    limits = made.code / "launch" / "workers" / "signals.py"
    limits.write_text(limits.read_text().replace("SAVE_SECONDS = 600.0", "SAVE_SECONDS = 1.0"))
    with Worker(made) as worker:
        worker.train(made.works[0])
        worker.event("begin")
        assert worker.process.stderr is not None
        while b"asleep" not in worker.process.stderr.readline():
            pass
        if why == "signal":
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait(60)
        assert "tricks_of_mine.py" in worker.end(), "it says where it hung"
        assert worker.process.returncode == 1
