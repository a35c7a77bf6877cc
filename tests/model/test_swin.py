from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer

from ablation.model.swin import swin
from ablation.state import kinds

Images = Callable[..., Tensor]
PAPER: dict[str, Any] = {"patch": 4, "window": 7, "strides": (2, 2, 2)}
SMALL: dict[str, Any] = {"dim": 8, "depths": (2, 1, 2, 1), "heads": (1, 2, 2, 4)}
S = (2, 2, 18, 2)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_has_the_librarys_parameters_and_nearly_the_notes() -> None:
    with torch.device("meta"):
        # torchvision's own counts of its swin_t and swin_s
        assert count(swin(1000, 3, 224, **PAPER)) == 28_288_354
        assert count(swin(1000, 3, 224, **PAPER, depths=S)) == 49_606_258
        # table 1.0 of the CIFAR tricks, whose source has neither norms between stages nor biases of queries
        assert count(swin(10, 3, 32)) * 4 / 2**20 == pytest.approx(104, rel=0.01)
        assert count(swin(10, 3, 32, depths=S)) * 4 / 2**20 == pytest.approx(184, rel=0.011)


def as_torchvision_names(ours: nn.Module) -> dict[str, Tensor]:
    renamed = {}
    for name, value in ours.state_dict().items():
        name = name.removeprefix("body.").replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
        name = name.replace("patch_embed.proj", "features.0.0").replace("patch_embed.norm", "features.0.2")
        for stage in range(4):
            name = name.replace(f"layers.{stage}.downsample", f"features.{2 * stage}")
            name = name.replace(f"layers.{stage}.blocks", f"features.{2 * stage + 1}")
        renamed[name] = value
    return renamed


def test_computes_what_torchvision_computes(images: Images, scramble: Callable[[nn.Module], None]) -> None:
    ours = swin(7, 3, 224, **PAPER, **SMALL)
    theirs = SwinTransformer([4, 4], 8, [2, 1, 2, 1], [1, 2, 2, 4], [7, 7], stochastic_depth_prob=0, num_classes=7)
    scramble(ours)
    missing, more = theirs.load_state_dict(as_torchvision_names(ours), strict=False)
    assert not more
    assert all(name.endswith("relative_position_index") for name in missing)
    x = images(1, 3, 224)
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))


def sides(model: nn.Module, x: Tensor) -> list[int]:
    """Of the maps that the stages return."""
    found: list[int] = []
    for stage in model.get_submodule("body.layers").children():
        stage.register_forward_hook(lambda module, args, out: found.append(out.shape[1]))
    model(x)
    return found


@pytest.mark.parametrize(("size", "maps"), [(32, [16, 16, 8, 4]), (64, [32, 32, 16, 8])])
def test_has_the_notes_strides(size: int, maps: list[int]) -> None:
    with torch.device("meta"):
        assert sides(swin(10, 3, size, **SMALL), torch.empty(1, 3, size, size)) == maps


def test_without_a_stride_stages_are_joined_token_by_token(images: Images) -> None:
    model = swin(10, 3, 32, **SMALL)
    merge = model.get_submodule("body.layers.1.downsample")
    state = merge.state_dict()
    x = images(2, 5, 8, seed=3).movedim(1, 3)[..., [0, 1, 2, 3, 4, 0, 1, 2]]
    scaled = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(merge(x), scaled @ state["reduction.weight"].T)
    assert state.keys() == {"norm.weight", "norm.bias", "reduction.weight"}


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 32, 10), (3, 64, 100), (3, 224, 1000)])
def test_shapes(channels: int, size: int, classes: int) -> None:
    with torch.device("meta"):
        model, x = swin(classes, channels, size, **SMALL), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 64)
        assert model(x).shape == (2, classes)


def test_tables_of_positions_are_no_weights_that_decay() -> None:
    found = kinds(swin(10, 3, 32, **SMALL))
    assert {found[n] for n in found if n.endswith("bias_table")} == {"bias"}
    assert {n for n, kind in found.items() if kind == "weight" if not n.endswith("weight")} == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 30}, "strides: the map of stage 2, 15 px wide, cannot be halved"),
        ({"patch": 3}, "patch: 3 does not divide the image's side, 32; nearest are 2 and 4"),
        ({"window": 5}, "window: 5 does not divide the maps' sides, 16, 16, 8, 4 px; nearest are 4 and 8"),
        ({"window": 0}, "window: 0 is less than 1"),
        ({"strides": (2, 2)}, r"strides: \(2, 2\) is not a list of 3 whole numbers above 0"),
        ({"strides": (1, 2, 3)}, "strides: 3 is neither 1 nor 2"),
        ({"depths": 2}, "depths: 2 is not a list of 4"),
        ({"heads": (3, 6, 12, 25)}, "heads: 25 of stage 4 do not divide its 768 numbers"),
        ({"dim": 0}, "dim: 0 is less than 1"),
        ({"mlp": 0.0}, "mlp: 0.0 leaves no unit"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        swin(10, 3, **{"size": 32, **arguments})
