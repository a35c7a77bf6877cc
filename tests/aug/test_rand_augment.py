from collections.abc import Callable

import pytest
import torch
from torchvision.transforms import v2

from ablation.aug.rand_augment import rand_augment
from ablation.key import Key
from ablation.types import Batch
from tests.aug.outcomes import SIDE, Choice, same_law, signed


@pytest.mark.parametrize(("num_ops", "magnitude", "bins"), [(1, 9, 31), (1, 4, 10), (2, 30, 31)])
def test_has_torchvisions_law(num_ops: int, magnitude: int, bins: int) -> None:
    space = v2.RandAugment()._AUGMENTATION_SPACE
    step: list[Choice] = [
        (p / len(space), change)
        for name, (magnitudes, signs) in space.items()
        for p, change in signed(name, magnitudes(bins, SIDE, SIDE), magnitude, signs)
    ]
    same_law(rand_augment(num_ops, magnitude, bins), [[step] * num_ops])


def test_no_operation_changes_nothing(make: Callable[..., Batch]) -> None:
    batch = make()
    assert torch.equal(rand_augment(0)(batch, Key.root(0)).x, batch.x)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_ops": -1}, "num_ops"),
        ({"magnitude": 31}, "magnitude"),
        ({"bins": 1}, "bins"),
        ({"fill": "x"}, "fill"),
        ({"num_ops": 1.5}, "num_ops"),
        ({"magnitude": 1.5}, "magnitude"),
        ({"bins": 2.5}, "bins"),
    ],
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        rand_augment(**arguments)  # type: ignore[arg-type]
