"""The student as its own teacher: the targets, and whose answers they are in real training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from one_step import begun, stepped
from passes import passed, same_bits, sample
from tiny import SMALL_MODEL, TINY, config
from torch import nn

from ablation.key import Key
from ablation.loss.ce import ce
from ablation.loss.online_refine import online_refine
from ablation.regularizer.ema import ema
from ablation.train import Feed


@pytest.mark.parametrize("growth", ["linear", "constant"])
def test_is_torchs_cross_entropy_with_the_mixed_targets(growth: str) -> None:
    student, hard, soft = sample()
    earlier = student.flip(0)
    share = 0.8 * (0.25 if growth == "linear" else 1.0)
    for y in (hard, soft):
        found = online_refine(growth=growth, temperature=0.5).term(passed(student, y, t=0.25), earlier)
        expected = nn.CrossEntropyLoss()(student, (1 - share) * y + share * (earlier / 0.5).softmax(1))
        torch.testing.assert_close(found, expected)


def test_alpha_0_is_ce_bit_for_bit_and_so_is_the_start_of_a_linear_growth() -> None:
    earlier = sample()[0].flip(0)
    for taught in (online_refine(alpha=0.0), online_refine(alpha=0.0, growth="constant"), online_refine()):
        same_bits(lambda given, taught=taught: taught.term(given, earlier), ce())
    logits, hard, _ = sample()
    assert online_refine(growth="constant").term(passed(logits, hard), earlier) != ce()(passed(logits, hard))


@pytest.mark.parametrize("teacher", ["ema", "epoch"])
def test_the_teacher_of_a_real_step_is_the_student_as_it_was(teacher: str) -> None:
    """The loss of the fourth step, in the second epoch of two steps, against one made by hand."""
    row = (*TINY, *SMALL_MODEL, "loss=online_refine", f"loss.teacher={teacher}", "loss.alpha=0.9", "loss.decay=0.2")
    plan, state = begun(config(*row))
    average = ema(0.2, warmup=True)
    kept = average.begin(state.weights.all())
    for step in range(3):
        stepped(plan, state)
        if teacher == "ema" or step == 1:
            now = {name: w.clone() for name, w in state.weights.all().items()}
            decay = min(0.2, (step + 1) / (step + 10)) if teacher == "ema" else 0.0
            for name, w in kept.items():
                w.copy_(decay * w + (1 - decay) * now[name] if w.is_floating_point() else now[name])
    x, y, word, t = Feed(plan, 1).batch(1)
    batch = plan.learner.augment(plan.learner.standard(x, y, Key(word), t), Key(word))
    seen = plan.learner.normalise(batch.x)
    student, earlier = deepcopy(plan.learner.model).train(), deepcopy(plan.learner.model).eval()
    weights = {name.removeprefix("model."): w for name, w in kept.items()}
    assert not earlier.load_state_dict(weights, strict=False).missing_keys, "torch itself adds numbers of batches"
    with torch.no_grad():
        share = 0.9 * 3 / 6
        targets = (1 - share) * batch.y + share * earlier(seen).softmax(1)
        expected = nn.CrossEntropyLoss()(student(seen), targets)
    assert t == 3 / 6
    assert stepped(plan, state) == pytest.approx(float(expected), rel=1e-5)
    assert plan.reported == [], "the student is evaluated, not its teacher"


def test_it_trains_otherwise_than_ce() -> None:
    ends = []
    for loss in ("ce", "online_refine"):
        plan, state = begun(config(*TINY, *SMALL_MODEL, f"loss={loss}"))
        stepped(plan, state, 3)
        ends.append(torch.cat([p.detach().flatten() for p in state.weights.params.values()]))
    assert not torch.equal(*ends)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"teacher": "same"}, "teacher"), ({"decay": 1.0}, "decay"), ({"alpha": 1.1}, "alpha"),
     ({"growth": "cosine"}, "growth"), ({"temperature": 0.0}, "temperature")],
)  # fmt: skip
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        online_refine(**arguments)
