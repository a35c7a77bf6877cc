"""The weights that are evaluated: the trained ones, and averages of them."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ablation import generators
from ablation.ahead import Ahead
from ablation.state import State, forward
from ablation.train import Feed, Plan
from ablation.types import Tensors, Weights

_BATCHES = 50  # at most: as many as a running average with a momentum of 0.1 remembers, twice over


def candidates(plan: Plan, state: State) -> dict[str, Tensors]:
    """Prefix of the metrics' names -> weights, at the end of an epoch.

    The last average's are the ones reported, without a prefix; the trained ones then are "raw_".
    """
    averaged = {name: plan.averages[name].weights(state.averages[name]) for name in plan.reported}
    if not averaged:
        return {"": state.weights.all()}
    for name, weights in averaged.items():
        if plan.averages[name].reestimate:
            _reestimate(plan, weights, state.step // plan.steps_per_epoch - 1, state.weights.lanes)
    last = list(averaged)[-1]
    others = {f"{name}_": weights for name, weights in averaged.items() if name != last}
    return {"raw_": state.weights.all(), **others, "": averaged[last]}


@torch.no_grad()
def _reestimate(plan: Plan, weights: Tensors, epoch: int, lanes: int | None) -> None:
    """Set the running statistics in `weights` to the mean over up to 50 of this epoch's batches, augmented as these.

    As in stochastic weight averaging (Izmailov et al. 2018, 1803.05407), there over the whole training set. They are
    changed in place, and depend on nothing but the other weights and the batches. Where a step has several passes, each
    counts alike.
    """
    norms = [m for m in plan.learner.modules() if isinstance(m, _BatchNorm)]
    momenta, seen = [norm.momentum for norm in norms], dict.fromkeys(norms, 0)

    def running_mean(norm: _BatchNorm, _: Any) -> None:
        seen[norm] += 1
        norm.momentum = 1 / seen[norm]  # the first pass leaves nothing of what was there

    call, feed = forward(plan.learner, Weights({}, weights, {}, lanes)), Feed(plan, epoch, Ahead())
    hooks = [norm.register_forward_pre_hook(running_mean) for norm in norms]
    try:
        for i in range(min(_BATCHES, plan.steps_per_epoch)):
            generators.seed(plan.learner.mean.device, feed.seeds[i])
            call(*feed.batch(i), feed.drawn(i))
    finally:
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            norm.momentum = momentum
            hook.remove()
