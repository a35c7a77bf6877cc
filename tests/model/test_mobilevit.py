from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from ablation.model.mobilevit import mobilevit

Images = Callable[..., Tensor]
PAPER = (2, 1, 2, 2, 2, 2)  # strides


@pytest.mark.parametrize(
    ("variant", "counted", "features"), [("s", 5_578_632, 640), ("xs", 2_317_848, 384), ("xxs", 1_272_024, 320)]
)
def test_has_the_librarys_parameters(variant: str, counted: int, features: int) -> None:
    """timm's own count; the paper prints 5.6, 2.3 and 1.3 M."""
    with torch.device("meta"):
        model = mobilevit(1000, 3, 32, variant)
        assert model.features(torch.empty(2, 3, 32, 32)).shape == (2, features)
    assert sum(p.numel() for p in model.parameters()) == counted


def as_timm_names(ours: nn.Module) -> dict[str, Tensor]:
    return {n.removeprefix("body.").replace("head.", "head.fc."): v for n, v in ours.state_dict().items()}


def test_with_the_papers_strides_computes_and_starts_as_timms(
    images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    torch.manual_seed(0)
    ours = mobilevit(10, 3, 64, "xxs", PAPER)
    torch.manual_seed(0)
    theirs = timm.create_model("mobilevit_xxs", num_classes=10)
    assert all(torch.equal(v, as_timm_names(ours)[n]) for n, v in theirs.state_dict().items())
    scramble(ours)
    theirs.load_state_dict(as_timm_names(ours))
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images(2, 3, 64)), theirs.train(training)(images(2, 3, 64)))


@pytest.mark.parametrize(
    ("strides", "size", "maps"),
    [((2, 1, 1, 2, 2, 1), 32, [16, 16, 16, 8, 4, 4]), (PAPER, 64, [32, 32, 16, 8, 4, 2])],
)
def test_has_the_notes_strides(strides: tuple[int, ...], size: int, maps: list[int]) -> None:
    found: list[int] = []
    with torch.device("meta"):
        model = mobilevit(10, 3, size, "xxs", strides)
        for part in (model.get_submodule("body.stem"), *model.get_submodule("body.stages").children()):
            part.register_forward_hook(lambda module, args, out: found.append(out.shape[-1]))
        model(torch.empty(2, 3, size, size))
    assert found == maps


def test_arguments_reach_the_attention() -> None:
    with torch.device("meta"):
        plain, other = mobilevit(10, 3, 32, "xs"), mobilevit(10, 3, 32, "xs", patch=4, depths=(1, 2, 1), heads=2, mlp=3)
    first = [m.get_submodule("body.stages.2.1.transformer") for m in (plain, other)]
    assert [len(list(t.children())) for t in first] == [2, 1]
    assert [t.get_parameter("0.mlp.fc1.weight").shape[0] for t in first] == [192, 288]
    assert [getattr(t.get_submodule("0.attn"), "num_heads", 0) for t in first] == [4, 2]
    assert getattr(other.get_submodule("body.stages.4.1"), "patch_size", 0) == (4, 4)


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 32, 10), (3, 64, 100), (3, 224, 1000)])
def test_shapes(channels: int, size: int, classes: int) -> None:
    with torch.device("meta"):
        model, x = mobilevit(classes, channels, size, "xxs"), torch.empty(2, channels, size, size)
        assert model(x).shape == (2, classes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"variant": "xl"}, "variant: there is no 'xl'"),
        ({"strides": (2, 1)}, r"strides: \(2, 1\) is not a list of 6"),
        ({"strides": (4, 1, 1, 2, 2, 1)}, r"strides: \[4, 1, 1, 2, 2, 1\] are not all 1 or 2"),
        ({"strides": PAPER}, "patch: 2 does not divide the map of stage 5, 1 px wide"),
        ({"patch": 0}, "patch: 0 is less than 1"),
        ({"heads": 5}, "heads: 5 does not divide a stage's channels, 144; nearest are 4 and 6"),
        ({"mlp": 0.0}, "mlp: 0.0 leaves no unit"),
        ({"depths": (2, 4)}, r"depths: \(2, 4\) is not a list of 3"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        mobilevit(10, 3, 32, **arguments)
