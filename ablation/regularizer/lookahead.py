"""Lookahead."""

from __future__ import annotations

import torch

from ablation.average import Average, Moment
from ablation.regularizer._statistics import weight_names
from ablation.types import Tensors

_FELT = 0.01  # of the steps: less is not worth a line


class Lookahead(Average):
    """See `lookahead`. The state is the slow weights under the weights' own names."""

    def __init__(self, k: int, alpha: float) -> None:
        self.k, self.alpha = k, alpha

    def begin(self, weights: Tensors) -> Tensors:
        """A copy."""
        return {name: w.detach().clone() for name, w in weights.items()}

    @torch.no_grad()
    def update(self, state: Tensors, weights: Tensors, moment: Moment) -> None:
        """Every k steps the slow weights go towards the fast ones, which then go on from there; buffers are copied."""
        names = weight_names(state)
        if (moment.step + 1) % self.k == 0:
            slow, fast = [state[n] for n in names], [weights[n] for n in names]
            torch._foreach_lerp_(slow, fast, self.alpha)
            torch._foreach_copy_(fast, slow)
        others = sorted(state.keys() - set(names))
        if others:
            torch._foreach_copy_([state[n] for n in others], [weights[n] for n in others])

    def weights(self, state: Tensors) -> Tensors:
        """The state itself."""
        return state

    def check(self, steps: int, steps_per_epoch: int) -> list[str]:
        """Whether the slow weights ever move, and how many steps at the end they know nothing of."""
        if self.k > steps:
            raise ValueError(
                f"k: {self.k} is more than the {steps} steps of the training, so that the slow weights, which are "
                f"evaluated, would never leave the initial ones; give at most {steps}"
            )
        late = steps % self.k
        if late <= _FELT * steps:
            return []
        return [
            f"k: {self.k} steps go {steps // self.k} times into the {steps} of the training: the weights that are "
            f"evaluated are those of step {steps - late}, {late / steps:.0%} of it before the end; take a smaller k, "
            "or one that divides"
        ]


def lookahead(k: int = 5, alpha: float = 0.5) -> Average:
    """K steps forward, 1 step back, around any optimiser (Zhang et al. 2019, 1907.08610).

    After every k steps of the optimiser, whose weights w are the fast ones, the slow weights s move, and the fast ones
    go on from there: s' = s + alpha (w - s), w' = s'. alpha 1 leaves the training as it is. The optimiser keeps its own
    state, such as momentum, over that (the paper's "maintain").

    The slow weights, as of the last multiple of k steps, are evaluated, with the running statistics of batch norms as
    they are at that moment; the fast ones' accuracy is `raw_`.

    Raises:
        ValueError: an argument is out of range.
    """
    if k != int(k) or k < 1:
        raise ValueError(f"k: {k} is not a whole number of steps from 1 up")
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not in (0, 1]; at 0 the weights would stay where they began")
    return Lookahead(int(k), alpha)
