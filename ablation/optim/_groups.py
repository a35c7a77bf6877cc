"""Which parameters are decayed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ablation.build import near
from ablation.types import Weights

EXEMPTIONS = ("bias", "norm")


def groups(weights: Weights, weight_decay: float, no_decay: Collection[str]) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimiser: the decayed and, if there are any, those exempt.

    `no_decay` names kinds: "bias" is every bias, that of a normalisation (beta) too; "norm" is both of a
    normalisation's parameters (gamma and beta). No bias decay: Jia et al. 2018, 1807.11205; in He et al. 2018
    (1812.01187) it is both.

    Raises:
        ValueError: an unknown kind.
    """
    for kind in no_decay:
        if kind not in EXEMPTIONS:
            raise ValueError(f"no_decay: there is no {kind!r}; {near(kind, EXEMPTIONS)}")

    def exempt(name: str) -> bool:
        return weights.kinds[name] in no_decay or ("bias" in no_decay and name.endswith("bias"))

    decayed = [p for name, p in weights.params.items() if not exempt(name)]
    rest = [p for name, p in weights.params.items() if exempt(name)]
    both = [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in both if group["params"]]
