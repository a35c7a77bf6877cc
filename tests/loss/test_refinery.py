"""Label refinery: each variant's loss on a real network against one made by hand, and a real chain of rounds."""

from __future__ import annotations

import itertools
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_step import CPU, begun, images, stepped
from passes import passed, sample
from tiny import SMALL_MODEL, TINY, config, final_weights, run
from torch import Tensor
from torch.func import functional_call

from ablation.aug.mixup import mixup
from ablation.key import Key
from ablation.loss.refinery import refinery
from ablation.train import Feed
from ablation.trial import teacher_weights
from ablation.types import Data
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized


def plan_data(settings: dict[str, Any]) -> Data:
    return images(json.dumps(settings["data"]))


def kl(logits: Tensor, q: Tensor) -> Tensor:
    return F.kl_div(logits.log_softmax(1), q, reduction="batchmean")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_is_torchs_kl_from_the_teachers_answer_and_the_labels_do_not_matter(temperature: float) -> None:
    student, hard, soft = sample()
    teacher = student.flip(0)
    for y in (hard, soft):
        found = refinery(temperature).term(passed(student, y), teacher)
        torch.testing.assert_close(found, kl(student, (teacher / temperature).softmax(1)))


def test_clean_targets_are_the_teachers_answers() -> None:
    student, hard, soft = sample()
    taught = refinery(0.5, mixed="clean")
    assert taught.relabel is not None
    torch.testing.assert_close(taught.relabel(student), (student / 0.5).softmax(1))
    torch.testing.assert_close(taught.term(passed(student, soft), hard), kl(student, soft))


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    student, hard, _ = sample()
    leaf = student.clone().requires_grad_()
    (slope,) = torch.autograd.grad(refinery().term(passed(leaf, hard), student), leaf)
    torch.testing.assert_close(slope, torch.zeros_like(slope))


@pytest.mark.parametrize("mixed", ["augmented", "clean"])
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_a_real_steps_loss_is_the_one_made_by_hand(mixed: str, statistics: str) -> None:
    """With mixup: who is asked for which images, in which mode, and what is mixed."""
    settings = config(
        *TINY, *SMALL_MODEL, "aug=mixup", "loss=refinery", f"loss.mixed={mixed}", f"loss.statistics={statistics}",
        "loss.temperature=0.25", "optim.lr=0.1",
    )  # fmt: skip
    plan, state = begun(settings)
    x, y, word, t = Feed(plan, 0).batch(0)
    key, normalise = Key(word), plan.learner.normalise
    clean = plan.learner.standard(x, y, key, t)
    baseline = {**settings, "loss": {"_target_": "ablation.loss.ce.ce"}}
    teacher = teacher_weights.untrained(baseline, plan_data(settings), CPU)
    network = deepcopy(teacher.model).train(statistics == "batch")
    weights = {name: w.clone() for name, w in teacher.weights.items()}

    def ask(batch: Tensor) -> Tensor:
        with torch.no_grad():
            return (functional_call(network, weights, (normalise(batch),)) / 0.25).softmax(1)

    mix = mixup()
    if mixed == "clean":
        batch = mix(clean._replace(y=ask(clean.x)), key.fold("mixup"))
        q = batch.y
    else:
        batch = mix(clean, key.fold("mixup"))
        q = ask(batch.x)
    student = deepcopy(plan.learner.model).train()
    expected = kl(student(normalise(batch.x)).detach(), q)
    assert stepped(plan, state) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("row", [[], ["aug=mixup", "loss.mixed=clean", "loss.statistics=batch"]])
def test_a_real_chain_of_rounds(tmp_path: Path, row: list[str]) -> None:
    """Naive, and two rounds; the second is taught by the first."""
    asked = [*TINY, *SMALL_MODEL, f"out={tmp_path}", "epochs=1", "loss=refinery", "teacher=same", "rounds=2", *row]
    with initialized():
        arms = compose_arms([asked])
    for planned in arms:
        folder = tmp_path / planned.arm.id
        planned.arm.write(folder, planned.config)
        (result,) = run(planned.config, folder).values()
        assert isinstance(result, dict)
    naive, first, _ = arms
    run(first.config, tmp_path / "again")
    assert [p.teacher for p in arms] == [None, naive.arm.id, first.arm.id]
    ends = [final_weights(tmp_path / p.arm.id)["weights.model.head.weight"] for p in arms]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(ends, 2))
    assert torch.equal(ends[1], final_weights(tmp_path / "again")["weights.model.head.weight"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"temperature": 0.0}, "temperature"), ({"mixed": "both"}, "mixed"), ({"statistics": "train"}, "statistics")],
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        refinery(**arguments)
