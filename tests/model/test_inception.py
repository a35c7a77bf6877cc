from collections.abc import Callable
from functools import partial

import pytest
import torch
from pytorchcv.models.inceptionresnetv2 import inceptionresnetv2
from pytorchcv.models.inceptionv3 import inceptionv3
from pytorchcv.models.inceptionv4 import inceptionv4
from timm.models.inception_resnet_v2 import InceptionResnetV2
from timm.models.inception_v3 import InceptionV3
from timm.models.inception_v4 import InceptionV4
from torch import Tensor, nn

from ablation.model.inception import inception
from ablation.types import Model

Images = Callable[..., Tensor]
TIMM = {"v3": InceptionV3, "v4": InceptionV4, "resnet_v2": InceptionResnetV2}
OTHERS = {"v3": inceptionv3, "v4": inceptionv4, "resnet_v2": inceptionresnetv2}
# timm's own numbers for 1000 classes; its v3 with the auxiliary head, which is not ours, has 27.16 M.
MILLIONS = {"v3": 23.83, "v4": 42.68, "resnet_v2": 55.84}

# Where the blocks begin: what is before is the stem.
FIRST_BLOCK = {
    "v3": ("body.Mixed",),
    "v4": tuple(f"body.features.{i}." for i in range(6, 22)),
    "resnet_v2": ("body.mixed", "body.repeat", "body.block8"),
}


def on_meta(version: str, stride: int, size: int, channels: int = 3, classes: int = 10) -> tuple[Model, Tensor]:
    with torch.device("meta"):
        return inception(classes, channels, size, version, stride), torch.empty(2, channels, size, size)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("version", TIMM)
def test_has_the_librarys_parameters(version: str) -> None:
    model, _ = on_meta(version, 4, 32, classes=1000)
    with torch.device("meta"):
        assert count(model) == count(TIMM[version]())
    assert count(model) / 1e6 == pytest.approx(MILLIONS[version], rel=0.001)


@pytest.mark.parametrize(
    ("version", "stride", "size", "expected"),
    [
        *[(version, 4, 32, (32, 15, 7)) for version in TIMM],
        ("v4", 8, 32, (15, 7, 3)),
        ("v3", 16, 64, (15, 7, 3)),
        ("v3", 32, 299, (35, 17, 8)),
    ],
)
def test_maps_are_of_the_sizes_stated(version: str, stride: int, size: int, expected: tuple[int, ...]) -> None:
    model, x = on_meta(version, stride, size)
    sides: list[int] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and "branch" in name and name.startswith(FIRST_BLOCK[version]):
            module.register_forward_hook(lambda m, a, out: sides.append(out.shape[-1]))
    model(x)
    assert tuple(dict.fromkeys(sides)) == expected


def randomised(model: Model) -> Model:
    """The network as it starts, but with norms that differ."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert isinstance(tensor, Tensor)
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.5)
    return model


def unpooled(other: nn.Module, x: Tensor) -> Tensor:
    """pytorchcv's network, whose pooling and dropout are for 299 px and its own training."""
    for name, module in other.features.named_children():
        x = module(x) if name != "final_pool" else x.mean((2, 3))
    out: Tensor = other.output.fc(x)
    return out


def check_same(ours: Model, theirs: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Same logits with the same tensors, evaluated and trained, and the same running statistics after."""
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    with torch.no_grad():
        for training in (False, True):
            theirs.train(training)
            expected = forward(x)
            assert expected.std() > 0
            torch.testing.assert_close(ours.train(training)(x), expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.slow  # seconds of a processor each, as the next
@pytest.mark.parametrize("version", TIMM)
def test_the_original_is_timms(version: str, images: Images) -> None:
    theirs = TIMM[version](num_classes=10)
    check_same(randomised(inception(10, 3, 75, version, 32)), theirs, theirs, images(2, 3, 75))


@pytest.mark.slow
@pytest.mark.parametrize("version", TIMM)
def test_the_original_is_pytorchcvs(version: str, images: Images) -> None:
    other = OTHERS[version](num_classes=10)
    forward = partial(unpooled, other)
    check_same(randomised(inception(10, 3, 107, version, 32)), other, forward, images(2, 3, 107))


@pytest.mark.parametrize("version", ["v3", *[pytest.param(v, marks=pytest.mark.slow) for v in ("v4", "resnet_v2")]])
def test_for_small_images_it_is_pytorchcvs_with_another_stem(version: str, images: Images) -> None:
    """Without the stem's poolings, its convolutions padded and by 1: done here by the names that pytorchcv gives."""
    other = OTHERS[version](num_classes=10)
    for name, module in list(other.features.init_block.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            parent, _, own = name.rpartition(".")
            setattr(other.features.init_block.get_submodule(parent), own, nn.Identity())
        if isinstance(module, nn.Conv2d):
            module.stride, module.padding = (1, 1), tuple(k // 2 for k in module.kernel_size)
    check_same(randomised(inception(10, 3, 32, version)), other, partial(unpooled, other), images(2, 3, 32))


@pytest.mark.parametrize(
    ("version", "classes", "channels", "size"), [("v3", 10, 1, 32), ("v4", 100, 3, 64), ("resnet_v2", 1000, 3, 224)]
)
def test_shapes(version: str, classes: int, channels: int, size: int) -> None:
    model, x = on_meta(version, 8, size, channels, classes)
    assert isinstance(model, Model)
    assert model.features(x).shape == (2, 2048 if version == "v3" else 1536)
    assert model(x).shape == (2, classes)
    assert isinstance(model.head, nn.Linear)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^version: there is no 'v2'; did you mean"):
        inception(10, 3, 32, "v2")
    with torch.device("meta"):
        with pytest.raises(ValueError, match=r"^size: this network cannot run on images of 32 px .* at least 75 px"):
            inception(10, 3, 32, stride=32)
        with pytest.raises(ValueError, match=r"^stride: this network, of 32, cannot have 3; valid: .*4, 8, 16, 32"):
            inception(10, 3, 32, stride=3)
        with pytest.raises(ValueError, match=r"^size: this network cannot run on images of 24 px"):
            inception(10, 3, 24, stride=16)
