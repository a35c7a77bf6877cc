from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model.toynet import toynet

Images = Callable[..., Tensor]


@pytest.mark.parametrize(("scale", "kernel"), [(1, 5), (1, 3), (4, 5), (16, 3)])
def test_has_the_parameters_of_its_definition(scale: int, kernel: int) -> None:
    """Convolutions of 6 s and 16 s channels, then 1024 s -> 120 -> 84 -> 10, all with biases."""
    k, s = kernel**2, scale
    convs = 6 * s * (3 * k + 1) + 16 * s * (6 * s * k + 1)
    linear = 120 * (1024 * s + 1) + 84 * 121 + 10 * 85
    with torch.device("meta"):
        model = toynet(10, 3, 32, scale, kernel)
    assert sum(p.numel() for p in model.parameters()) == convs + linear


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [({}, 1, 1), ({"kernel": 3, "scale": 2}, 1, 1), ({"depth": 5, "norm": True, "kernel": 3}, 3, 2)],
)
def test_computes_its_definition(
    arguments: dict[str, Any], first: int, second: int, images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    model, x = toynet(10, 3, 20, **arguments), images(4, 3, 20)
    scramble(model)
    norm, padding = arguments.get("norm", False), arguments.get("kernel", 5) // 2
    for training in (True, False):
        t = iter([v.clone() for n, v in model.state_dict().items() if "tracked" not in n])

        def layer(x: Tensor, t: Any = t, training: bool = training) -> Tensor:
            if not norm:
                return F.relu(F.conv2d(x, next(t), next(t), padding=padding))
            maps = F.conv2d(x, next(t), padding=padding)
            weight, bias, mean, var = (next(t) for _ in range(4))
            return F.relu(F.batch_norm(maps, mean, var, weight, bias, training))

        y = x
        for depth in (first, second):
            for _ in range(depth):
                y = layer(y)
            y = F.max_pool2d(y, 2)
        y = F.relu(F.linear(y.flatten(1), next(t), next(t)))
        features = F.relu(F.linear(y, next(t), next(t)))
        logits = F.linear(features, next(t), next(t))
        torch.testing.assert_close(model.train(training)(x), logits)
        assert next(t, None) is None


@pytest.mark.parametrize(("classes", "channels", "size"), [(10, 1, 32), (100, 3, 64), (1000, 3, 224)])
@pytest.mark.parametrize("depth", [2, 25])
def test_shapes(classes: int, channels: int, size: int, depth: int) -> None:
    with torch.device("meta"):
        model, x = toynet(classes, channels, size, depth=depth), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 84)
        assert model(x).shape == (2, classes)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [6] * ((depth + 1) // 2) + [16] * (depth // 2)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^kernel: 4 is not odd; nearest are 3 and 5"):
        toynet(10, 3, 32, kernel=4)
    with pytest.raises(ValueError, match=r"^depth: 1 is less than one convolution a stage; use at least 2"):
        toynet(10, 3, 32, depth=1)
    with pytest.raises(ValueError, match=r"^scale: 0.01 leaves no channel; use at least 0.17"):
        toynet(10, 3, 32, scale=0.01)
    with pytest.raises(ValueError, match=r"^size: two poolings need images of at least 4 px, these have 3"):
        toynet(10, 3, 3)
