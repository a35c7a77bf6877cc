"""Works on real worker processes, which crash, wait for each other and need room."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from tiny import final_weights

from ablation.errors import AblationError
from ablation.store.attempt import numbers
from ablation.store.claim import claim
from launch.status import retry_policy
from launch.status.outcome import Event, Outcome, TrialKey
from launch.status.retry_policy import Policy, Resources
from launch.sweep.submission import Submission
from launch.workers import process
from launch.workers.pool import Pool, _fits
from launch.workers.process import Slot
from tests.launch.workshop import mischief, submission, tricks

NEVER = retry_policy.read({})


@pytest.fixture(autouse=True)
def _own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tricks(tmp_path / "mine")))


class Events(list[Event]):
    """Events; on the first of a kind something can be done."""

    def __init__(self) -> None:
        super().__init__()
        self.then: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        self.append(event)
        if event["event"] in self.then:
            self.then.pop(event["event"])(event)


def run(
    made: Submission, retry: Policy = NEVER, slots: int = 1, events: Events | None = None
) -> dict[TrialKey, Outcome]:
    cpu_slots = [Slot(f"cpu-{n}", {"OMP_NUM_THREADS": "1"}, device="cpu") for n in range(slots)]
    return Pool(made, cpu_slots, events if events is not None else Events(), retry).run(made.works)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "with exit code 3"),
        pytest.param("segfault", "by SIGSEGV", marks=pytest.mark.slow),
        pytest.param("linger", "by SIGKILL", marks=pytest.mark.slow),
    ],
)
def test_a_crash_fails_its_trial_only(tmp_path: Path, how: str, said: str) -> None:
    made = submission(tmp_path, mischief(how), [])
    (_, bad), (_, good) = run(made).items()
    assert (bad.state, bad.cause) == ("failed", "killed")
    assert said in bad.message
    assert "cpu-0.log" in bad.message
    assert good.state == "done"


def test_a_damaged_result_fails_its_trial_only(tmp_path: Path) -> None:
    made = submission(tmp_path, ["seeds=2"], ["aug=cutout"])
    folder = tmp_path / made.works[0].id / "seed-0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text('{"test_acc": 12.5, "atte')
    outcomes = run(made)
    bad = outcomes.pop((made.works[0].id, 0))
    assert bad.state == "failed"
    assert "result.json: is damaged" in bad.message
    assert "delete it" in bad.message
    assert [o.state for o in outcomes.values()] == ["done", "done"]


def test_a_killed_trial_is_tried_again_from_its_checkpoint(tmp_path: Path) -> None:
    hit = submission(tmp_path / "hit", mischief("kill", step=5, once=tmp_path / "mark"), [])
    events = Events()
    assert {o.state for o in run(hit, retry_policy.read({"killed": {"tries": 1}}), events=events).values()} == {"done"}
    (again,) = [e for e in events if e["event"] == "again"]
    assert again["work"] == hit.works[0]
    starts = [e["start"] for e in events if e["event"] == "begin" and e["work"] == hit.works[0]]
    assert starts == [0, 4]
    id_ = hit.works[0].id
    tiny.run(hit.arms[id_].config, tmp_path / "straight" / id_)  # now that the mark is there
    one, other = final_weights(hit.out / id_), final_weights(tmp_path / "straight" / id_)
    assert [k for k in one if not torch.equal(one[k], other[k])] == []


def test_workers_that_cannot_start_are_one_error(tmp_path: Path) -> None:
    made = submission(tmp_path, [], ["seeds=[1]", "optim.lr=0.3"])
    (made.code / "ablation" / "trial" / "run.py").write_text("import no_such_module_here\n")
    with pytest.raises(AblationError, match=r"workers cannot start.*no_such_module_here.*cpu-0\.log"):
        run(made)


@pytest.mark.parametrize(("times", "dies"), [(1, False), pytest.param(9, True, marks=pytest.mark.slow)])
def test_workers_that_are_killed_while_they_import_are_replaced(tmp_path: Path, times: int, dies: bool) -> None:
    made = submission(tmp_path, [])
    marks = tmp_path / "marks"
    marks.mkdir()
    trial = made.code / "ablation" / "trial" / "run.py"
    hit = f"import os, pathlib\nn = len(os.listdir({str(marks)!r}))\nif n < {times}:\n"
    hit += f"    pathlib.Path({str(marks)!r}, str(n)).touch()\n    os.kill(os.getpid(), 9)\n"
    first, rest = trial.read_text().split("import annotations\n", 1)
    trial.write_text(f"{first}import annotations\n{hit}{rest}")
    if dies:
        with pytest.raises(AblationError, match=r"workers cannot start.*by SIGKILL"):
            run(made)
        assert len(list(marks.iterdir())) == 3
    else:
        assert [o.state for o in run(made).values()] == ["done"]


@pytest.mark.slow
def test_a_worker_that_leaves_but_stays_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE", 1.0)
    made = submission(tmp_path, mischief("stay"), [])
    assert [o.state for o in run(made).values()] == ["stopped", "done"]


def test_students_wait_for_their_teacher_and_are_blocked_without(tmp_path: Path) -> None:
    made = submission(tmp_path, ["loss=distill", "teacher='optim.lr=1e30'"])
    events = Events()
    states = {id_: o.state for (id_, _), o in run(made, slots=2, events=events).items()}
    (arm,) = [p for p in made.arms.values() if p.teacher]
    assert states == {arm.teacher: "failed", arm.arm.id: "blocked"}
    assert [e["event"] for e in events if e["event"] == "begin"] == ["begin"], "the student was not started"


def test_what_another_process_trains_is_waited_for(tmp_path: Path) -> None:
    made = submission(tmp_path, [], ["optim.lr=0.3"])
    first, second = made.works
    events = Events()
    with claim(made.out / first.id / "seed-0", 60) as other:
        events.then["begin"] = lambda _: other.release()
        outcomes = run(made, events=events)
    assert {o.state for o in outcomes.values()} == {"done"}
    assert [e["work"] for e in events if e["event"] == "wait"] == [first]
    assert [e["work"] for e in events if e["event"] == "begin"] == [second, first]
    assert numbers(made.out / first.id / "seed-0") == [1, 2]


def test_asked_to_stop_it_saves_and_begins_nothing_more(tmp_path: Path) -> None:
    made = submission(tmp_path, ["epochs=500"], ["optim.lr=0.3"])
    events = Events()
    pool = Pool(made, [Slot("cpu-0")], events, NEVER)
    events.then["epoch"] = lambda _: pool.stop()
    assert [o.state for o in pool.run(made.works).values()] == ["not started", "stopped"]
    assert list(made.out.glob("*/seed-0/attempt-1/last.pt"))


@pytest.mark.slow
def test_someone_who_stops_a_worker_stops_its_trial_only(tmp_path: Path) -> None:
    made = submission(tmp_path, ["epochs=500"], ["optim.lr=0.3"])
    events = Events()

    def stop(event: Event) -> None:
        assert event["work"] == made.works[0], events
        owner = json.loads((made.out / made.works[0].id / "seed-0" / "attempt-1" / "owner.json").read_text())
        os.kill(owner["pid"], signal.SIGTERM)

    events.then["epoch"] = stop
    assert [o.state for o in run(made, events=events).values()] == ["stopped", "done"]


def test_out_of_memory_is_tried_again_with_more_room(tmp_path: Path) -> None:
    made = submission(tmp_path, mischief("memory", once=tmp_path / "mark"), ["epochs=20"], ["optim.lr=0.3"])
    events = Events()
    outcomes = run(made, retry_policy.read({"oom": {"tries": 3, "pack": 2}}), slots=2, events=events)
    assert {o.state for o in outcomes.values()} == {"done"}
    first, *others = made.works
    again = next(i for i, e in enumerate(events) if e["event"] == "again")
    begun = next(i for i, e in enumerate(events) if i > again and e["event"] == "begin" and e["work"] == first)
    assert {e["work"] for e in events[:begun] if e["event"] == "end"} == set(others), "it was alone"


def cards(*names: str) -> list[Slot]:
    """Places that are taken for GPUs; their trials are for the processor."""
    return [Slot(f"gpu-{name}", {"OMP_NUM_THREADS": "1"}, device=name, gpu=True) for name in names]


@pytest.mark.parametrize("how", ["ecc", pytest.param("ecc_abort", marks=pytest.mark.slow)])
def test_a_gpu_that_fails_gets_no_other_trial_and_its_own_is_tried_on_another(tmp_path: Path, how: str) -> None:
    made = submission(tmp_path, mischief(how, once=tmp_path / "mark"), ["epochs=20"], ["optim.lr=0.3"])
    events = Events()
    outcomes = Pool(made, cards("0", "1"), events, retry_policy.read({"node": {"tries": 3}})).run(made.works)
    assert {o.state for o in outcomes.values()} == {"done"}
    (again,) = [e for e in events if e["event"] == "again"]
    assert again["work"] == made.works[0]
    assert "node: " in again["text"]
    (note,) = [e["text"] for e in events if e["event"] == "note" and "no more trials" in e["text"]]
    assert note.startswith("GPU 0 is given no more trials")
    assert "uncorrectable ECC error" in note
    begun = [(e["work"], e["slot"]) for e in events if e["event"] == "begin"]
    assert [slot for work, slot in begun if work == made.works[0]] == ["gpu-0", "gpu-1"]
    assert {slot for work, slot in begun if work != made.works[0]} == {"gpu-1"}


def test_without_a_gpu_that_works_the_rest_is_refused_with_the_reason(tmp_path: Path) -> None:
    made = submission(tmp_path, mischief("ecc"), ["optim.lr=0.3"])
    events = Events()
    outcomes = Pool(made, cards("0"), events, retry_policy.read({"node": {"tries": 3}})).run(made.works)
    assert {(o.state, o.cause) for o in outcomes.values()} == {("failed", "node")}
    assert all("GPU 0: RuntimeError: CUDA error: uncorrectable ECC error" in o.message for o in outcomes.values())
    assert [e["work"] for e in events if e["event"] == "begin"] == [made.works[0]]


def test_on_a_processor_a_trial_that_blames_a_gpu_fails_alone(tmp_path: Path) -> None:
    made = submission(tmp_path, mischief("ecc"), ["optim.lr=0.3"])
    assert [(o.state, o.cause) for o in run(made).values()] == [("failed", "node"), ("done", "")]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_in_a_gpus_place_no_trial_is_trained_on_the_processor(tmp_path: Path) -> None:
    made = submission(tmp_path, ["device=auto"], ["device=auto", "optim.lr=0.3"])
    outcomes = Pool(made, cards("0"), Events(), NEVER).run(made.works)
    assert {(o.state, o.cause) for o in outcomes.values()} == {("failed", "node")}
    assert all("there should be a GPU here (ABLATION_GPU=1)" in o.message for o in outcomes.values())


def test_room() -> None:
    pair, alone = Resources(2), Resources(1)
    assert _fits(pair, [])
    assert _fits(pair, [pair])
    assert not _fits(pair, [pair, pair])
    assert not _fits(alone, [pair])
    assert not _fits(pair, [alone])
