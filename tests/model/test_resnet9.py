from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.init.zero_gamma import zero_gamma
from ablation.key import Key
from ablation.model.block import residual_blocks
from ablation.model.resnet9 import resnet9

Images = Callable[..., Tensor]
Change = Callable[[nn.Module], None]


def test_has_its_parameters() -> None:
    """9 (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 2 * 128^2 + 2 * 512^2), norms, 5120; the source says 6.6 M."""
    convs = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 2 * 128**2 + 2 * 512**2)
    norms = 2 * (64 + 3 * 128 + 256 + 3 * 512)
    with torch.device("meta"):
        assert sum(p.numel() for p in resnet9(10, 3, 32).parameters()) == convs + norms + 5120 == 6573120


def oracle(model: nn.Module, x: Tensor, training: bool) -> Tensor:
    """By hand, from the drawing of the network in the source."""
    t = iter([v.clone() for n, v in model.state_dict().items() if "tracked" not in n])

    def layer(x: Tensor, pool: int = 1) -> Tensor:
        maps = F.conv2d(x, next(t), padding=1)
        weight, bias, mean, var = (next(t) for _ in range(4))
        return F.max_pool2d(F.relu(F.batch_norm(maps, mean, var, weight, bias, training)), pool)

    x = layer(layer(x), 2)
    x = x + layer(layer(x))
    x = layer(layer(x, 2), 2)
    x = x + layer(layer(x))
    return F.linear(F.max_pool2d(x, 4).flatten(1), next(t)) * 0.125


def test_computes_the_sources_network(images: Images, scramble: Change) -> None:
    model = resnet9(10, 3, 32, width=8)
    scramble(model)
    for training in (True, False):
        expected = oracle(model, images(), training)
        torch.testing.assert_close(model.train(training)(images()), expected)


@pytest.mark.parametrize(("classes", "channels", "size"), [(10, 1, 32), (100, 3, 64), (1000, 3, 224), (10, 3, 9)])
def test_shapes(classes: int, channels: int, size: int) -> None:
    with torch.device("meta"):
        model, x = resnet9(classes, channels, size), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 512)
        assert model(x).shape == (2, classes)


def test_noise_and_zero_gamma_find_its_two_blocks(images: Images) -> None:
    seen: list[tuple[int, int]] = []

    def join(block: int, blocks: int) -> nn.Module:
        seen.append((block, blocks))

        class First(nn.Module):
            def forward(self, x: Tensor, *branches: Tensor) -> Tensor:
                return x

        return First()

    model = resnet9(10, 3, 32, width=8, join=join, drop=nn.Identity)
    assert seen == [(1, 2), (2, 2)]
    assert len(residual_blocks(model)) == 2
    names = [n for n, _ in model.named_modules() if n.endswith("drop")]
    assert names == ["blocks.2.branch.drop", "blocks.5.branch.drop"]
    plain = resnet9(10, 3, 32, width=8)
    zero_gamma()(plain, Key.root(0))
    model.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(images()), model(images()))  # a branch of zeros is no branch


def test_a_share_of_the_width_is_rounded() -> None:
    """As co-training divides it."""
    with torch.device("meta"):
        convs = [m for m in resnet9(10, 3, 32, 64 / 2**0.5).modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [45, 90, 90, 90, 180, 360, 360, 360]


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^width: 0 leaves no channel; use at least 1"):
        resnet9(10, 3, 32, width=0)
    with pytest.raises(ValueError, match=r"^factor: 0 is not above 0; 0.125 is the source's"):
        resnet9(10, 3, 32, factor=0)
    with pytest.raises(ValueError, match=r"^bn_momentum: 2 is not in \(0, 1\]"):
        resnet9(10, 3, 32, bn_momentum=2)
    with pytest.raises(ValueError, match=r"^size: ResNet-9 needs images of at least 8 px, these have 7"):
        resnet9(10, 3, 7)
