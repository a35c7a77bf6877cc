from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as library
from networks import parameters
from torch import Tensor, nn

from ablation.model.squeezenet import squeezenet
from ablation.types import Model

Images = Callable[..., Tensor]


@pytest.mark.parametrize(("version", "kernel"), [("v1.0", 7), ("v1.1", 3)])
def test_without_what_is_added_it_is_torchvisions(version: str, kernel: int, images: Images) -> None:
    theirs = getattr(library, f"squeezenet{version[1:].replace('.', '_')}")(num_classes=10, dropout=0.0)
    theirs.classifier[2] = nn.Identity()  # its ReLU on logits
    ours = squeezenet(10, 3, 64, version, 16, kernel, norm=False, bypass=False)
    state = zip(theirs.state_dict().items(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict({name: mine.view(own.shape) for (name, own), mine in state})
    torch.testing.assert_close(ours(images(2, size=64)), theirs(images(2, size=64)))


def by_hand(model: Model, x: Tensor) -> Tensor:
    """Version v1.0 with norms and bypasses at stride 8, from the paper's table 1 and figure 2 (middle)."""
    state = list(model.state_dict().values())

    def conv(x: Tensor, pad: int) -> Tensor:
        weight, bias, gamma, beta, mean, var, _ = (state.pop(0) for _ in range(7))
        return F.conv2d(x, weight, bias, padding=pad).sub(mean[:, None, None]).div(
            (var[:, None, None] + 1e-5).sqrt()
        ).mul(gamma[:, None, None]).add(beta[:, None, None]).relu()  # fmt: skip

    def fire(x: Tensor) -> Tensor:
        x = conv(x, 0)
        return torch.cat([conv(x, 0), conv(x, 1)], 1)

    x = F.max_pool2d(conv(x, 1), 3, 2, ceil_mode=True)
    for number in range(2, 10):
        x = fire(x) + x if number % 2 else fire(x)
        if number in (4, 8):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    assert x.shape[-1] == 4
    return F.conv2d(x, state[0][:, :, None, None], state[1]).mean((2, 3))


def test_computes_what_the_paper_says(images: Images, scramble: Callable[[nn.Module], None]) -> None:
    model = squeezenet(10, 3, 32).eval()
    scramble(model)
    with torch.no_grad():
        torch.testing.assert_close(model(images(2)), by_hand(model, images(2)), rtol=1e-3, atol=1e-4)


def test_has_the_published_parameters() -> None:
    with torch.device("meta"):
        # CIFAR tricks README, counted from its code; torchvision.
        assert parameters(squeezenet(10, 3, 32)) / 1e6 == pytest.approx(0.735, rel=0.01)
        assert parameters(squeezenet(1000, 3, 32, stem_kernel=7, norm=False)) == 1248424


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^version: there is no '2'; valid: v1.0, v1.1"):
        squeezenet(10, 3, 32, version="2")
    with pytest.raises(ValueError, match=r"^stem_kernel: 4 is not an odd number up to 7"):
        squeezenet(10, 3, 32, stem_kernel=4)
    with pytest.raises(ValueError, match=r"^stride: this network, of 16, cannot have 32; valid: 1, 2, 4, 8, 16"):
        squeezenet(10, 3, 32, stride=32)
