"""Accuracy and loss of given weights on given images, in the precision of the training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from ablation.learner import Learner, to_float
from ablation.types import Split, Tensors

_PIXELS = 1000 * 32 * 32  # in one batch of all lanes together


def evaluate(learner: Learner, weights: Tensors, split: Split, lanes: int | None = None) -> dict[str, list[float]]:
    """Top-1 accuracy in percent ("acc") and mean cross-entropy ("loss"), a number a lane, read from the device once."""
    hits, loss = (tally(learner, weights, split, lanes) / len(split)).tolist()
    return {"acc": [100.0 * h for h in hits], "loss": loss}


@torch.no_grad()
def tally(learner: Learner, weights: Tensors, split: Split, lanes: int | None = None) -> Tensor:
    """Hits and cross-entropies, each summed over the images: (2, lanes) float64 on the device, which is not read."""
    tensors = {name.removeprefix("model."): v for name, v in weights.items() if name.startswith("model.")}
    device = learner.mean.device

    def predict(tensors: Tensors, x: Tensor) -> Tensor:
        with learner.precision.autocast():
            logits: Tensor = functional_call(learner.model, tensors, (learner.normalise(to_float(x)),))
        return logits.float()

    call = predict if lanes is None else torch.vmap(predict, in_dims=(0, None))
    sums = torch.zeros(2, lanes or 1, dtype=torch.float64, device=device)
    batch = max(1, _PIXELS // (split.x.shape[1] * split.x.shape[2] * (lanes or 1)))
    learner.model.eval()
    for start in range(0, len(split), batch):
        x, y = (part[start : start + batch].to(device, non_blocking=True) for part in (split.x, split.y))
        logits = call(tensors, x).reshape(lanes or 1, len(y), -1)
        sums[0] += (logits.argmax(2) == y).sum(1)
        sums[1] += torch.stack([F.cross_entropy(lane, y, reduction="sum") for lane in logits]).double()
    learner.model.train()
    return sums
