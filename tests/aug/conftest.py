from collections.abc import Callable

import pytest
import torch

from ablation.types import Batch


@pytest.fixture
def make() -> Callable[..., Batch]:
    """A batch of random images and labels, channels-last, as the trainer makes it."""

    def batch(n: int = 64, c: int = 3, h: int = 32, w: int = 32, seed: int = 0) -> Batch:
        g = torch.Generator().manual_seed(seed)
        x = torch.rand(n, h, w, c, generator=g).permute(0, 3, 1, 2)
        y = torch.eye(10)[torch.randint(10, (n,), generator=g)]
        return Batch(x, y, torch.tensor(0.5), torch.linspace(0.3, 0.6, c))

    return batch
