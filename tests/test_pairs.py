"""Every two options train together: found in conf/, so a new one is tried with all others at once.

The fast suite covers each pair in one of a few trials that have many options each; `-m slow` tries each pair alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations

import pytest
import torch
from one_step import begun, stepped
from tiny import SMALL, SMALL_MODEL, TINY, config, options
from together import MOST, REFUSED, Option, refused, together

from ablation.config import MANY
from ablation.errors import ConfigError
from ablation.state import State
from ablation.train import Plan
from ablation.trial.parts import parts

GROUPS = ("aug", "regularizer", "init", "loss", "sched", "optim")
EVERY: list[Option] = [(group, option) for group in GROUPS for option in options(group)]


@cache
def pairs() -> list[tuple[Option, Option]]:
    """All that can be asked for: of different groups, or two of a group that takes several."""
    several = [(a, b) for a, b in combinations(EVERY, 2) if a[0] != b[0] or a[0] in MANY]
    return [(a, b) for a, b in several if not refused(a, b)]


@cache
def design() -> list[tuple[Option, ...]]:
    """Few trials that have every pair between them. Greedy: whichever option adds most pairs that were not yet had."""
    missing = {frozenset(pair) for pair in pairs()}
    trials = []
    for first in (frozenset(pair) for pair in pairs()):
        if first not in missing:
            continue
        trial = sorted(first, key=EVERY.index)
        while more := [(gain, option) for option in EVERY if (gain := _gain(option, trial, missing))]:
            trial.append(max(more, key=lambda found: found[0])[1])
        missing -= {frozenset(pair) for pair in combinations(trial, 2)}
        trials.append(tuple(sorted(trial, key=EVERY.index)))
    return trials


def _gain(option: Option, trial: Sequence[Option], missing: set[frozenset[Option]]) -> int:
    full = sum(group == option[0] for group, _ in trial) >= MOST[option[0]]
    if full or option in trial or any(refused(option, other) for other in trial):
        return 0
    return sum(frozenset((option, other)) in missing for other in trial)


def trouble(chosen: Iterable[Option]) -> str:
    """Two real steps, an epoch; what went wrong, or nothing."""
    try:
        plan, state = begun(together(chosen))
        loss = stepped(plan, state, 2)
        silent = without_gradient(plan, state)
        averages = [average.weights(state.averages[name]) for name, average in plan.averages.items()]
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    tensors = [tensor for weights in (state.weights.all(), *averages) for tensor in weights.values()]
    finite = all(bool(tensor.isfinite().all()) for tensor in (torch.tensor(loss), *tensors))
    if not finite:
        return f"loss {loss} or weights that are not finite"
    return f"no gradient reaches {', '.join(sorted(silent))}" if silent else ""


def without_gradient(plan: Plan, state: State) -> set[str]:
    """Parameters whose gradient is missing or zero in the last step and, if there are any, in each of eleven more.

    Not in the first one: branches that start at zero pass none to what is inside them. Noise may spare a block a step.
    """
    silent = set(state.weights.params)
    for _ in range(12):
        silent -= {name for name, gradient in state.weights.grads().items() if bool(gradient.any())}
        if not silent:
            break
        state.step %= plan.steps  # the end is no matter here
        stepped(plan, state)
    return silent


def named(chosen: Iterable[Option]) -> str:
    return " ".join("=".join(option) for option in chosen)


def culprits(chosen: Sequence[Option]) -> str:
    """What went wrong in a trial of many, by the pairs of it that fail alone."""
    if not (text := trouble(chosen)):
        return ""
    alone = [f"{named(pair)}: {why}" for pair in combinations(chosen, 2) if pair in pairs() and (why := trouble(pair))]
    return "\n".join([f"{named(chosen)}: {text}", "of these, alone:", *(alone or ["none"])])


@pytest.mark.parametrize("n", range(len(design())))
def test_every_pair_trains_in_some_trial(n: int) -> None:
    found = culprits(design()[n])
    assert not found, found


@pytest.mark.slow
@pytest.mark.parametrize("option", EVERY, ids="=".join)
def test_every_pair_trains_alone(option: Option) -> None:
    found = [f"{named(pair)}: {why}" for pair in pairs() if pair[0] == option and (why := trouble(pair))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("pair", REFUSED, ids=lambda pair: " ".join(sorted(pair)))
def test_pairs_that_mean_nothing_are_refused(pair: frozenset[str]) -> None:
    first, second = (tuple(option.split("=")) for option in sorted(pair))
    with pytest.raises(ConfigError):
        parts(together([first, second]))


def test_a_gradient_that_reaches_nothing_would_be_seen() -> None:
    """The norm before a pre-activation branch's last convolution at 0: the branch never learns, as is said there."""
    plan, state = begun(
        config(*TINY, *SMALL_MODEL, "model.preact=true", "init=zero_gamma", "init.zero_gamma.preact=norm")
    )
    stepped(plan, state, 2)
    assert {f"model.blocks.2.branch.{name}.weight" for name in ("norm1", "conv2")} <= without_gradient(plan, state)


def test_the_trials_have_every_pair() -> None:
    had = {frozenset(pair) for trial in design() for pair in combinations(trial, 2)}
    assert {frozenset(pair) for pair in pairs()} <= had
    assert len(design()) < len(pairs()) / 4


def test_together_is_what_hydra_composes() -> None:
    chosen = [("aug", "cutout"), ("aug", "mixup"), ("regularizer", "ema"), ("sched", "cosine"), ("init", "kaiming")]
    typed = ["aug=[cutout,mixup]", "regularizer=ema", "sched=cosine", "init=kaiming"]
    assert together(chosen) == config(*TINY, *SMALL_MODEL, *typed)
    for model in ("resnet20", "swin_t"):  # made from another option, and with a small form
        assert together([("model", model)]) == config(*TINY, f"model={model}", *SMALL.get(model, ()))
