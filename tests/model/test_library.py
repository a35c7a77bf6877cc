"""Strides of a library's networks, lowered: which layers change, and that nothing else does."""

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision.models as library
from timm.layers import Conv2dSame
from torch import Tensor, nn

from ablation.model._library import GlobalMean, Library, check_size, global_means
from ablation.model._stride import lower_stride, own_stride

Images = Callable[..., Tensor]


class Parallel(nn.Module):
    """Two branches of one resolution: a stride in the first layer of one, in the second of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.long = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, 2, 1))
        self.short = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.long(x) + self.short(x)


def net() -> nn.Sequential:
    stem = nn.Conv2d(3, 4, 3, 2, bias=False)  # not padded
    return nn.Sequential(stem, nn.MaxPool2d(3, 2, 1), Parallel(), Parallel())


def side(model: nn.Module, size: int) -> int:
    return int(model(torch.randn(2, 3, size, size)).shape[-1])


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
def test_the_first_strides_go_and_parallel_branches_go_together(stride: int) -> None:
    model = net()
    assert own_stride(model, 3) == 16
    lower_stride(model, stride, 32, 3)
    assert own_stride(model, 3) == stride
    assert side(model, 64) == 64 / stride


def test_a_pooling_is_left_out_and_a_convolution_is_padded() -> None:
    model = net()
    lower_stride(model, 4, 32, 3)
    assert isinstance(model[0], nn.Conv2d)
    assert (model[0].stride, model[0].padding, model[0].kernel_size) == ((1, 1), (1, 1), (3, 3))
    assert isinstance(model[1], nn.Identity)
    assert model.training
    assert all(not p.is_meta for p in model.parameters())


def test_resnet18_becomes_the_one_for_small_images(images: Images) -> None:
    """Of ImageNet's 32 the stem's 4 go: what is usually written by hand."""
    model, hand = library.resnet18(num_classes=10), library.resnet18(num_classes=10)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    lower_stride(model, 8, 32, 3)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    hand.conv1.stride, hand.maxpool = (1, 1), nn.Identity()
    hand.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(images()), hand(images()))


def test_the_own_stride_changes_nothing(images: Images) -> None:
    model = library.resnet18(num_classes=10).eval()
    expected = model(images())
    lower_stride(model, 32, 32, 3)
    torch.testing.assert_close(model(images()), expected)


@pytest.mark.parametrize(("name", "stride"), [("tf_efficientnet_b0", 4), ("resnet26d", 4), ("resnetblur18", 8)])
def test_timms_own_kinds_of_layers(name: str, stride: int) -> None:
    """Convolutions that pad as their stride wants, a pooling before the shortcut's convolution, blurred poolings."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=10)
        assert own_stride(model, 3) == 32
        lower_stride(model, stride, 32, 3)
        for size in (32, 64):
            assert model.forward_features(torch.empty(1, 3, size, size)).shape[-1] == size / stride
    same = [m for m in model.modules() if isinstance(m, Conv2dSame)]
    assert all(m.padding == (0, 0) for m in same), "not padded twice"


def test_one_layer_of_stride_4_may_step_by_2() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 7, 4, 2), nn.Conv2d(4, 4, 3, 2, 1))
    lower_stride(model, 4, 32, 3)
    assert side(model, 32) == 8
    lower_stride(model, 1, 32, 3)
    assert side(model, 32) == 32


def test_patches_become_smaller() -> None:
    model = nn.Sequential(nn.Conv2d(3, 400, 4, 4), nn.Conv2d(400, 4, 2, 2))
    spread = model[0].weight.std()
    lower_stride(model, 4, 32, 3)
    assert isinstance(model[0], nn.Conv2d)
    assert (model[0].kernel_size, model[0].stride, model[0].weight.shape) == ((2, 2), (2, 2), (400, 3, 2, 2))
    torch.testing.assert_close(model[0].weight.std(), 2 * spread, rtol=0.05, atol=0)  # half the side: a 4th of the fan
    assert side(model, 32) == 8


def test_refuses_strides_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"^stride: this network, of 16, cannot have 3; valid: 1, 2, 4, 8, 16$"):
        lower_stride(net(), 3, 32, 3)
    with pytest.raises(ValueError, match=r"^stride: 16 leaves no map of images of 8 px; use at most 8$"):
        lower_stride(net(), 16, 8, 3)
    with pytest.raises(ValueError, match=r"^stride: 0 is a pooling that could step by 2 only"):
        lower_stride(nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 4, 3, 2, 1)), 4, 32, 3)
    with pytest.raises(ValueError, match=r"^stride: this network takes images of one size only; leave it null"):
        lower_stride(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 16 * 16, 2)), 1, 32, 3)
    with pytest.raises(ValueError, match=r"^stride: not only this network's convolutions and poolings"):
        lower_stride(nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 3, 2, 1)), 2, 32, 3)


def test_refuses_images_on_which_nothing_can_run() -> None:
    with pytest.raises(ValueError, match=r"^size: this network cannot run on images of 4 px \(.*\); use larger images"):
        check_size(nn.Sequential(nn.Conv2d(3, 4, 7)), 4, 3)
    check_size(nn.Sequential(nn.Conv2d(1, 4, 7)), 7, 1)


def test_features_and_head(images: Images) -> None:
    body = library.resnet18(num_classes=10)
    global_means(body)
    assert isinstance(body.avgpool, GlobalMean)
    expected = body(images())
    head, body.fc = body.fc, nn.Identity()
    model = Library(body, head)
    assert model.features(images()).shape == (4, 512)
    torch.testing.assert_close(model(images()), expected)
