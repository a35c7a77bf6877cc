"""What goes around "zero the gradients, forward, backward"."""

from __future__ import annotations

import torch

from ablation.contract.generators import TORCH
from ablation.contract.sample import Network, Shape
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject
from ablation.types import Fill, Grad, Step, Tensors

GRAD = "Grad: wrap(fill, weights) -> fill; a fill is zero the gradients, forward, backward, and returns a Step"


def check_grad(subject: Subject, grad: Grad, shape: Shape) -> None:
    """Try what goes around a gradient.

    Raises:
        ConfigError: it breaks its contract.
    """
    subject.takes(grad.wrap, "fill", "weights")

    def call(i: int) -> Tensors:
        network = Network(shape)
        plain: Fill = network.fill
        before = network.copies()
        fill = subject.call(grad.wrap, plain, network.weights)
        subject.takes(fill)
        step = subject.call(fill)
        if not isinstance(step, Step):
            raise subject.breach(
                f"its fill returned {a(step)}, not a Step", returned=shown(step), wanted="what fill() returns"
            )
        subject.tensor("the loss of its fill", step.loss, (), "() float32")
        grads = network.weights.grads()
        missing = sorted(network.weights.params.keys() - grads.keys())
        if missing:
            raise subject.breach(
                f"leaves {', '.join(missing)} without a gradient", wanted="a gradient of every parameter"
            )
        for name, p in network.weights.params.items():
            subject.tensor(f"the gradient of {name}", grads[name], tuple(p.shape), "of its parameter's shape, finite")
            if not torch.allclose(p.detach(), before[name], rtol=1e-4, atol=1e-6):
                raise subject.breach(f"moves {name}", wanted="the weights as they were: steps are the optimiser's")
        return {**{name: g.clone() for name, g in grads.items()}, "loss": step.loss}

    subject.twice(call, spared=[TORCH])  # library layers draw in a fill
