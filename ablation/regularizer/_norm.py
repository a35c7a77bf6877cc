"""The norm of many tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.types import Tensors


def global_norm(tensors: Tensors) -> Tensor:
    """L2 norm of all tensors taken as one vector, (); stays on the device."""
    norms = [torch.linalg.vector_norm(x) for x in tensors.values()]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total
