"""Initialisations."""

from __future__ import annotations

from typing import Any

from ablation.contract.sample import Shape, key, stand_in
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject
from ablation.types import Init, Tensors

INIT = "Init = (nn.Module, Key) -> None, which changes weights in place"


def check_init(subject: Subject, init: Init, shape: Shape) -> None:
    """Try an initialisation on a small network, which it may refuse.

    Raises:
        ConfigError: it breaks its contract.
    """
    subject.takes(init, "model", "key")

    def call(i: int) -> Tensors:
        model = stand_in(shape)
        names = [name for name, _ in model.named_parameters()]
        check_nothing(subject, subject.call(init, model, key()))
        if [name for name, _ in model.named_parameters()] != names:
            raise subject.breach("changed the layers", wanted="the same parameters with other values")
        return {name: p.detach().clone() for name, p in model.named_parameters()}

    subject.twice(call)


def check_nothing(subject: Subject, returned: Any) -> None:
    """An initialisation returns nothing: what it returned would be passed over.

    Raises:
        ConfigError: it returned something.
    """
    if returned is not None:
        raise subject.breach(
            f"returned {a(returned)}, which nobody reads",
            returned=shown(returned),
            wanted="None: change the model's weights",
        )
