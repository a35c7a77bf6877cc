"""A teacher is another trial's network as it was reported, and stays what it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run, teach
from torch import Tensor
from torch.func import functional_call

from ablation.build import build
from ablation.errors import Blocked, DataError, Stopped
from ablation.evaluate import evaluate
from ablation.key import Key
from ablation.learner import Learner, Teacher
from ablation.machine.precision import Precision, choose_precision
from ablation.source import reader
from ablation.store import code
from ablation.store.identity import identify
from ablation.store.journal import JOURNAL, Journal
from ablation.trial import teacher, teacher_weights
from ablation.trial.parts import build_learner, parts
from ablation.tricks import Tricks
from ablation.types import Data, Pass, Taught
from launch.compose.naming import rules

STUDENT = (*TINY, *SMALL_MODEL, "loss=distill")
FP32 = choose_precision("fp32", torch.device("cpu"))


def loaded(settings: dict[str, Any], out: Path, *seeds: int, precision: Precision = FP32) -> tuple[Teacher, Data]:
    """The teachers of a student's seeds, and the student's data."""
    teach(settings | {"seeds": list(seeds)}, out)
    data: Data = build(settings["data"], "data")
    return teacher_weights.load(out / settings["teacher"], seeds, data, precision), data


def journaled(folder: Path, attempt: int, event: str, **values: Any) -> None:
    journal = Journal(folder / f"attempt-{attempt}" / JOURNAL)
    journal.write(event, **values)
    journal.close()


def test_ready_tells_how_a_teacher_stands(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "seed-3"
    assert teacher.ready(tmp_path, "t", 3).state == "waiting"
    journaled(folder, 1, "start", step=0)
    assert teacher.ready(tmp_path, "t", 3).state == "waiting"
    journaled(folder, 1, "failed", cause="oom", message="no memory left")
    failed = teacher.ready(tmp_path, "t", 3)
    assert failed.state == "failed"
    assert failed.message == "the teacher t, seed 3, failed: no memory left"
    (folder / "attempt-2").mkdir()
    assert teacher.ready(tmp_path, "t", 3).state == "waiting", "it is tried again"
    journaled(folder, 2, "start", step=0)
    assert teacher.ready(tmp_path, "t", 3).state == "waiting"
    (folder / "cancel").touch()
    assert teacher.ready(tmp_path, "t", 3).state == "cancelled"
    (folder / "result.json").write_text("{")
    damaged = teacher.ready(tmp_path, "t", 3)
    assert damaged.state == "failed"
    assert "result.json: is damaged" in damaged.message
    (folder / "result.json").write_text('{"test_acc": 1.0}')
    assert teacher.ready(tmp_path, "t", 3).state == "done"
    assert teacher.ready(tmp_path, "t", 4).state == "waiting", "the teacher of another seed"


def test_students_of_undone_teachers_are_blocked_and_the_others_trained(tmp_path: Path) -> None:
    settings = config(*STUDENT) | {"seeds": [0, 1, 2]}
    teach(settings | {"seeds": [1, 2]}, tmp_path)
    journaled(tmp_path / settings["teacher"] / "seed-2", 9, "failed", cause="error", message="its own fault")
    outcomes = run(settings, tmp_path / "student")
    assert isinstance(outcomes[1], dict)
    assert isinstance(outcomes[0], Blocked)
    assert f"seed 0: the teacher {settings['teacher']}, seed 0, is not done yet" in str(outcomes[0])
    assert isinstance(outcomes[2], Blocked)
    assert "failed: its own fault" in str(outcomes[2])
    assert [p.name for p in sorted((tmp_path / "student").glob("seed-*"))] == ["seed-1"], "blocked, not failed"


def test_a_student_keeps_the_code_that_its_teacher_was_trained_by(tmp_path: Path) -> None:
    settings = config(*STUDENT)
    teach(settings, tmp_path)
    before = code.teaches(tmp_path, settings["teacher"], 0)
    run(settings, tmp_path / "student")
    assert before == {settings["teacher"]: [reader.here().of(config(*TINY, *SMALL_MODEL))]}
    assert code.taught(tmp_path / "student" / "seed-0") == before


@pytest.mark.parametrize(
    "average", [[], ["regularizer=ema"], ["regularizer=[ema,dropout]", "regularizer.ema.decay=0.5"]]
)
def test_its_weights_are_those_whose_accuracy_was_reported(average: list[str], tmp_path: Path) -> None:
    settings = config(*STUDENT, *average)
    teaching, data = loaded(settings, tmp_path, 0)
    learner = Learner(teaching.model, data, Tricks(), {}, FP32)
    scores = evaluate(learner, {f"model.{n}": w for n, w in teaching.weights.items()}, data.test)
    result = json.loads((tmp_path / settings["teacher"] / "seed-0" / "result.json").read_text())
    assert (scores["acc"], scores["loss"]) == ([result["test_acc"]], [result["test_loss"]])
    raw = final_weights(tmp_path / settings["teacher"])
    trained = {n: w for n, w in teaching.weights.items() if not n.endswith("num_batches_tracked")}  # which is not saved
    same = all(torch.equal(w, raw[f"weights.model.{n}"]) for n, w in trained.items())
    assert same == (not average)


def test_every_seed_has_its_own(tmp_path: Path) -> None:
    teaching, _ = loaded(config(*STUDENT), tmp_path, 5, 3)
    for lane, seed in enumerate((5, 3)):
        (alone, _) = loaded(config(*STUDENT), tmp_path / str(seed), seed)
        assert all(torch.equal(w[lane], alone.weights[n]) for n, w in teaching.weights.items())
        assert teaching.fingerprints[lane] == alone.fingerprints[0]
    assert len(set(teaching.fingerprints)) == 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_answers_for_the_very_images_the_student_sees_and_stays_what_it_is(tmp_path: Path, precision: str) -> None:
    settings = config(*STUDENT, "aug=[mixup,cutout]", "regularizer=[dropout,stochastic_depth]")
    device = choose_precision(precision, torch.device("cpu"))
    teaching, data = loaded(settings, tmp_path, 0, precision=device)
    seen: list[tuple[Tensor, Tensor]] = []

    def term(given: Pass, logits: Tensor) -> Tensor:
        seen.append((given.images.detach(), logits))
        return given.logits.square().sum() + logits.square().sum()

    built = parts(settings)
    learner = build_learner(settings, built, data, device, Key.root(0), teaching)
    learner.terms, learner.taught = {"loss": Taught(term)}, Taught(term)
    before = {n: w.clone() for n, w in teaching.weights.items()}
    params = dict(learner.named_parameters())
    step = functional_call(
        learner, params,
        (data.train.x[:8], data.train.y[:8], Key.root(1), torch.tensor(0.0), teaching.weights),
    )  # fmt: skip
    step.loss.backward()
    ((images, logits),) = seen
    with device.autocast():
        assert torch.equal(logits, functional_call(teaching.model, teaching.weights, (images,)))
    assert not logits.requires_grad
    assert logits.dtype == (torch.float32 if precision == "fp32" else torch.bfloat16), "in the student's precision"
    assert all(torch.equal(w, before[n]) for n, w in teaching.weights.items()), "running statistics too"
    assert not any(m.training for m in teaching.model.modules())
    assert all(p.grad is None and not p.requires_grad for p in teaching.model.parameters())
    assert not any("teacher" in name for name in learner.state_dict())


def test_it_is_neither_saved_nor_counted(tmp_path: Path) -> None:
    plain = run(config(*TINY, *SMALL_MODEL), tmp_path / "plain")[0]
    taught = run(config(*STUDENT), tmp_path / "taught")[0]
    assert isinstance(plain, dict)
    assert isinstance(taught, dict)
    assert [taught[k] for k in ("params", "weight_mib")] == [plain[k] for k in ("params", "weight_mib")]
    assert final_weights(tmp_path / "taught").keys() == final_weights(tmp_path / "plain").keys()


def test_a_teacher_and_a_student_of_other_models(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL)
    larger = config(*TINY, "model.depth=14", "regularizer=ema") | {"teacher": None}
    name = identify(larger, rules())
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(larger))
    run(larger, tmp_path / name)
    student = {**settings, "loss": config(*STUDENT)["loss"], "teacher": name}
    (result,) = run(student, tmp_path / "student").values()
    assert isinstance(result, dict)
    assert result["params"] < json.loads((tmp_path / name / "seed-0" / "result.json").read_text())["params"]


def test_a_teacher_without_its_checkpoint(tmp_path: Path) -> None:
    settings = config(*STUDENT)
    loaded(settings, tmp_path, 0)
    for path in (tmp_path / settings["teacher"]).glob("seed-0/attempt-*/*.pt"):
        path.unlink()
    with pytest.raises(DataError, match="is done, but its last checkpoint is gone"):
        run(settings, tmp_path / "student")


@pytest.mark.parametrize("key", ["encoding", "norm", "constants"])
def test_a_teacher_of_other_images(tmp_path: Path, key: str) -> None:
    settings = config(*STUDENT)
    teach(settings, tmp_path)
    path = tmp_path / settings["teacher"] / "seed-0" / "result.json"
    result = json.loads(path.read_text())
    result["data"][key] = "another"
    path.write_text(json.dumps(result))
    with pytest.raises(DataError, match=f"has seen images of {key} another, the student's have"):
        run(settings, tmp_path / "student")


def test_a_teacher_of_other_classes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for name, classes in (("four", 4), ("five", 5)):
        np.savez(
            tmp_path / f"{name}.npz",
            x_train=x,
            y_train=np.arange(40) % classes,
            x_test=x,
            y_test=np.arange(40) % classes,
        )
    mine = ("data=arrays", "data.subset=null", "data.norm=imagenet")
    settings = config(*STUDENT, *mine, f"data.path={tmp_path}/four.npz")
    teach(settings, tmp_path)
    settings["data"]["path"] = f"{tmp_path}/five.npz"
    with pytest.raises(DataError, match="does not fit the student's images and classes"):
        run(settings, tmp_path / "student")


def test_a_student_does_not_go_on_with_another_teacher(tmp_path: Path) -> None:
    """Trained anew on another machine, say: one name, other weights."""
    settings = config(*STUDENT)
    with pytest.raises(Stopped):
        run(settings, tmp_path / "student", Silent(3))
    folder = tmp_path / settings["teacher"]
    other = run({**yaml.safe_load((folder / "config.yaml").read_text()), "seeds": [1]}, tmp_path / "other")
    assert isinstance(other[1], dict)
    shutil.rmtree(folder / "seed-0")
    shutil.copytree(tmp_path / "other" / "seed-1", folder / "seed-0")
    with pytest.raises(DataError, match="was begun on a teacher with the fingerprint"):
        run(settings, tmp_path / "student")
