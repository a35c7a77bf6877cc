from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model.airbench import airbench
from ablation.state import kinds

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], None]


def test_has_its_parameters() -> None:
    """The author's network by its widths: 24 whitened maps with biases, groups of 64, 256 and 256, norms' biases."""
    pairs = [(24, 64), (64, 64), (64, 256), (256, 256), (256, 256), (256, 256)]
    convs = sum(9 * a * b for a, b in pairs)
    with torch.device("meta"):
        model = airbench(10, 3, 32)
    ours = sum(p.numel() for p in model.parameters())
    assert ours == 24 * 12 + 24 + convs + 2 * (64 + 256 + 256) + 2560 == 1971640


def test_computes_the_authors_network(images: Images, scramble: Change) -> None:
    model = airbench(10, 3, 32, width=8)
    scramble(model)
    for training in (True, False):
        t = iter([v.clone() for n, v in model.state_dict().items() if "tracked" not in n])
        x = F.gelu(F.conv2d(images(), next(t), next(t)))
        for _ in range(3):
            for pool in (2, 1):
                x = F.max_pool2d(F.conv2d(x, next(t), padding=1), pool)
                bias, mean, var = (next(t) for _ in range(3))
                x = F.gelu(F.batch_norm(x, mean, var, torch.ones_like(bias), bias, training, eps=1e-12))
        expected = F.linear(F.max_pool2d(x, 3).flatten(1), next(t)) / 9
        torch.testing.assert_close(model.train(training)(images()), expected)
        assert next(t, None) is None


def test_running_statistics_take_four_tenths_of_the_new_batch(images: Images) -> None:
    model = airbench(10, 3, 32, width=8)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.momentum, m.eps, m.weight) for m in norms} == {(0.4, 1e-12, None)}
    assert [k for n, k in kinds(model).items() if n.endswith("bias")] == ["bias", *["norm"] * 6]


def test_convolutions_start_as_the_identity_of_their_inputs(images: Images) -> None:
    x = torch.rand(2, 8, 5, 5)
    for conv in [m for m in airbench(10, 3, 32, width=8).modules() if isinstance(m, nn.Conv2d)][1:]:
        inputs = min(conv.in_channels, conv.out_channels)
        x = torch.rand(2, conv.in_channels, 5, 5)
        torch.testing.assert_close(conv(x)[:, :inputs], x[:, :inputs])
        assert conv.out_channels <= inputs or conv(x)[:, inputs:].std() > 0


def test_maps_are_of_the_sizes_stated() -> None:
    sides = []
    with torch.device("meta"):
        model = airbench(10, 3, 32)
        for m in model.modules():
            if isinstance(m, nn.Conv2d | nn.MaxPool2d):
                m.register_forward_hook(lambda m, a, out: sides.append(out.shape[-1]))
        model(torch.empty(2, 3, 32, 32))
    assert list(dict.fromkeys(sides)) == [31, 15, 7, 3, 1]


@pytest.mark.parametrize(
    ("classes", "channels", "size", "wide"), [(10, 1, 32, 256), (100, 3, 64, 1024), (1000, 3, 25, 256)]
)
def test_shapes(classes: int, channels: int, size: int, wide: int) -> None:
    with torch.device("meta"):
        model, x = airbench(classes, channels, size), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, wide)
        assert model(x).shape == (2, classes)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^width: 0 leaves no channel; use at least 1"):
        airbench(10, 3, 32, width=0)
    with pytest.raises(ValueError, match=r"^factor: -1 is not above 0; 0.111 is the author's"):
        airbench(10, 3, 32, factor=-1)
    with pytest.raises(ValueError, match=r"^bn_momentum: 0 is not in \(0, 1\]"):
        airbench(10, 3, 32, bn_momentum=0)
    with pytest.raises(ValueError, match=r"^size: airbench needs images of at least 25 px, these have 24"):
        airbench(10, 3, 24)
