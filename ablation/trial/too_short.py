"""What of a configuration has no time to act in the training that it is asked for: its memory outlasts the run."""

from __future__ import annotations

from collections.abc import Mapping

from torch.nn.modules.batchnorm import _BatchNorm

from ablation.errors import ConfigError
from ablation.train import Plan

_FELT = 0.1  # of running statistics: so much of the initial ones is worth a line


def remarks(plan: Plan, paths: Mapping[str, str]) -> list[str]:
    """What to know before this training, a sentence each; `paths` has the keys of options by name.

    Raises:
        ConfigError: an average that would never have anything to average.
    """
    told = []
    for name, average in plan.averages.items():
        path = paths.get(name, "loss")  # the student as its own teacher
        try:
            told += [f"{path}.{text}" for text in average.check(plan.steps, plan.steps_per_epoch)]
        except ValueError as e:
            raise ConfigError(f"{path}.{e}") from e
    if plan.reported and plan.averages[plan.reported[-1]].reestimate:
        return told  # the statistics that are evaluated are made from other batches
    return [*told, *_statistics(plan)]


def _statistics(plan: Plan) -> list[str]:
    """Of batch norms' running statistics, which begin with mean 0 and variance 1."""
    momenta = [m.momentum for m in plan.learner.model.modules() if isinstance(m, _BatchNorm)]
    slowest = min((m for m in momenta if m is not None), default=1.0)
    left = (1 - slowest) ** plan.steps
    if left <= _FELT:
        return []
    return [
        f"batch norms' running statistics, with which a network is evaluated, are still to {left:.0%} their first ones "
        f"after {plan.steps} steps ({1 - slowest:g}^{plan.steps}, a momentum of {slowest:g}): the test accuracy says "
        "little after so few steps"
    ]
