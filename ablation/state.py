"""What changes during training: weights, optimiser, averages and step; and the step as a function of the weights.

Here, and only here, is the seam for several seeds ("lanes"): the same call under `torch.vmap`, with a leading axis on
every tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ablation.ahead import Drawn
from ablation.key import Key
from ablation.learner import Learner
from ablation.types import Step, Tensors, Weights

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_NO_MATRIX = ("bias", "bias_table", "pos_embed", "token", "gamma")  # ends of names: timm's, and ours


class Forward(Protocol):
    """A step as a function of x, y, key word and t, and of its draws where they are made ahead."""

    def __call__(self, x: Tensor, y: Tensor, word: Tensor, t: Tensor, drawn: Drawn | None = None, /) -> Step:
        """x ([lanes,] N, H, W, C) uint8, y ([lanes,] N) int64, word ([lanes]) int64, t ()."""


@dataclass
class State:
    """Everything that a checkpoint holds."""

    weights: Weights
    optimizer: torch.optim.Optimizer
    averages: dict[str, Tensors]
    losses: Tensor  # ([lanes,] steps an epoch) float32, this epoch's so far
    hits: Tensor  # likewise
    step: int = 0
    seconds: float = 0.0  # spent training by all attempts together, evaluation left out


def kinds(module: nn.Module) -> dict[str, str]:
    """Parameter name -> "norm" (both of a normalisation layer's), "bias" or "weight".

    What transformers add or multiply by without a matrix is "bias" too, as their authors do not decay it: positions,
    their tables, class tokens, the scales of layers.
    """
    norms = {f"{path}." for path, m in module.named_modules() if isinstance(m, _NORMS)}

    def kind(name: str) -> str:
        if name[: name.rfind(".") + 1] in norms:
            return "norm"
        return "bias" if name.endswith(_NO_MATRIX) else "weight"

    return {name: kind(name) for name, _ in module.named_parameters()}


def gather_weights(learners: Sequence[Learner]) -> Weights:
    """The trainable tensors of one learner, or those of several (one a seed) stacked."""
    for learner in learners:
        _count_no_batches(learner)
    first = learners[0]
    trained = dict(first.named_parameters())
    tensors: Tensors = first.state_dict(keep_vars=True)
    if len(learners) > 1:
        states = [learner.state_dict() for learner in learners]
        tensors = {name: torch.stack([s[name] for s in states]) for name in tensors}
    params = {name: tensors[name].requires_grad_() for name in trained}
    buffers = {name: v for name, v in tensors.items() if name not in trained}
    return Weights(params, buffers, kinds(first), len(learners) if len(learners) > 1 else None)


def _count_no_batches(module: nn.Module) -> None:
    """Drop the numbers of batches that batch norms have seen, but where the momentum is made of them.

    Each would be raised by an operation of its own in every step. Without the number `load_state_dict` takes 0.
    """
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.momentum is not None:
            norm.num_batches_tracked = None


def forward(learner: Learner, weights: Weights, compiled: bool = False) -> Forward:
    """The step as a function of (x, y, key word, t); with lanes all but t, and the results, have a leading axis.

    Draws made ahead are for steps that are not compiled: a compiler fuses those that a step makes.
    """

    def one(
        tensors: Tensors, teaching: Tensors, x: Tensor, y: Tensor, word: Tensor, t: Tensor, made: Any, drawn: Any
    ) -> Step:
        key = Key(word) if drawn is None else drawn.key(word, made)
        step: Step = functional_call(learner, tensors, (x, y, key, t, teaching))
        return step

    lanes = (0, 0, 0, 0, 0, None, 0, None)
    call = one if weights.lanes is None else torch.vmap(one, in_dims=lanes, randomness="different")
    call = torch.compile(call) if compiled else call
    tensors, teaching = {**weights.params, **weights.buffers}, learner.teacher.used() if learner.teacher else {}

    def step(x: Tensor, y: Tensor, word: Tensor, t: Tensor, drawn: Drawn | None = None, /) -> Step:
        done: Step = call(tensors, teaching, x, y, word, t, {} if drawn is None else drawn.values, drawn)
        return done

    return step


def pack(state: State, lane: int) -> dict[str, Any]:
    """One seed's part of the state as plain tensors and numbers, ready to be saved."""

    def take(value: Any) -> Any:
        stacked = state.weights.lanes is not None and isinstance(value, Tensor) and value.dim() > 0
        return value[lane].clone() if stacked else value

    saved = {
        "weights": state.weights.all(),
        "losses": {"losses": state.losses, "hits": state.hits},
        **{f"averages.{name}": tensors for name, tensors in state.averages.items()},
        **{f"optimizer.{i}": slots for i, slots in state.optimizer.state_dict()["state"].items()},
    }
    groups = {name: {k: take(v) for k, v in values.items()} for name, values in saved.items()}
    # Some optimisers keep state beside the schedules' fields in their groups.
    options = [{k: v for k, v in g.items() if k != "params"} for g in state.optimizer.state_dict()["param_groups"]]
    return {"step": state.step, "seconds": state.seconds, "options": options, **groups}


def unpack(state: State, packs: Sequence[Mapping[str, Any]]) -> None:
    """Put back what `pack` took, one pack a lane, into a state made from the same configuration."""
    stack = state.weights.lanes is not None
    state.step, state.seconds = packs[0]["step"], max(p["seconds"] for p in packs)

    def restore(group: str, tensors: Tensors) -> None:
        for name, tensor in tensors.items():
            saved = [p[group][name] for p in packs]
            tensor.copy_(torch.stack(saved) if saved[0].dim() < tensor.dim() else saved[0])

    restore("weights", state.weights.all())
    restore("losses", {"losses": state.losses, "hits": state.hits})
    for name, tensors in state.averages.items():
        restore(f"averages.{name}", tensors)

    params = [p for group in state.optimizer.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Any]] = {}
    for group in (g for g in packs[0] if g.startswith("optimizer.")):
        i = int(group.removeprefix("optimizer."))
        per_lane = {k: [p[group][k] for p in packs] for k in packs[0][group]}
        slots[i] = {
            k: torch.stack(v) if stack and _has_lanes(k, v[0], params[i]) else v[0] for k, v in per_lane.items()
        }
    now = state.optimizer.state_dict()["param_groups"]
    groups = [{**group, **saved} for group, saved in zip(now, packs[0]["options"], strict=True)]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _has_lanes(name: str, saved: Any, param: Tensor) -> bool:
    """Whether an optimiser's saved value was one lane's; 0-dim ones are shared but for those of scalar parameters."""
    return isinstance(saved, Tensor) and (saved.dim() > 0 or (param.dim() == 1 and name != "step"))
