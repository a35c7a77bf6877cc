from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture
def images() -> Callable[..., Tensor]:
    def make(n: int = 4, channels: int = 3, size: int = 32, seed: int = 0) -> Tensor:
        return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def scramble() -> Callable[[nn.Module], None]:
    """Random values in every parameter and running statistic, so that equal outputs mean equal networks."""

    def change(model: nn.Module) -> None:
        generator = torch.Generator().manual_seed(1)
        for tensor in model.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + (0.5 if tensor.ndim == 1 else -0.1))

    return change
