from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ablation.model.coatnet import coatnet
from ablation.state import kinds

Images = Callable[..., Tensor]
SMALL: dict[str, Any] = {"dims": (8, 16, 32, 64), "depths": (1, 1, 2, 1), "stem": 8}
PRESETS: list[tuple[dict[str, Any], float]] = [  # with what they change, and the paper's parameters in millions
    ({}, 25),
    ({"depths": (2, 6, 14, 2)}, 42),
    ({"depths": (2, 6, 14, 2), "dims": (128, 256, 512, 1024), "stem": 128}, 75),
]


@pytest.mark.parametrize(("preset", "millions"), PRESETS)
def test_has_the_papers_parameters(preset: dict[str, Any], millions: float) -> None:
    """Table 4 of the paper; the notes' are of another kind, of 64.9, 123 and 208 MiB."""
    with torch.device("meta"):
        model = coatnet(1000, 3, 224, **preset)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def theirs(size: int) -> nn.Module:
    net: nn.Module = timm.create_model(
        "coatnet_0_224", img_size=size, num_classes=7, embed_dim=(8, 16, 32, 64), depths=(1, 1, 2, 1), stem_width=8,
        head_hidden_size=64,
    )  # fmt: skip
    return net


def as_timm_names(ours: nn.Module) -> dict[str, Tensor]:
    return {
        n.removeprefix("body.").replace("head.", "head.fc.", "body" not in n): v for n, v in ours.state_dict().items()
    }


@pytest.mark.parametrize("size", [32, 64])
def test_computes_and_starts_as_timms(size: int, images: Images, scramble: Callable[[nn.Module], None]) -> None:
    torch.manual_seed(0)
    ours = coatnet(7, 3, size, **SMALL)
    torch.manual_seed(0)
    library = theirs(size)
    assert library.state_dict().keys() == as_timm_names(ours).keys()
    assert all(torch.equal(v, as_timm_names(ours)[n]) for n, v in library.state_dict().items())
    scramble(ours)
    library.load_state_dict(as_timm_names(ours))
    for training in (True, False):
        torch.testing.assert_close(
            ours.train(training)(images(2, 3, size)), library.train(training)(images(2, 3, size))
        )


def sides(model: nn.Module, size: int) -> list[int]:
    """Of the maps that the stem and the stages return."""
    found: list[int] = []
    for part in (model.get_submodule("body.stem"), *model.get_submodule("body.stages").children()):
        part.register_forward_hook(lambda module, args, out: found.append(out.shape[-1]))
    model(torch.empty(2, 3, size, size))
    return found


def test_the_last_stage_sees_one_pixel_or_four() -> None:
    with torch.device("meta"):
        assert sides(coatnet(10, 3, 32, **SMALL), 32) == [16, 8, 4, 2, 1]
        wider = coatnet(10, 3, 32, **SMALL, stem_stride=1)
        assert sides(wider, 32) == [32, 16, 8, 4, 2]
    table = wider.get_parameter("body.stages.3.blocks.0.attn.rel_pos.relative_position_bias_table")
    assert table.shape == (3 * 3, 2)


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 32, 10), (3, 64, 100), (3, 224, 1000)])
def test_shapes(channels: int, size: int, classes: int) -> None:
    with torch.device("meta"):
        model, x = coatnet(classes, channels, size, **SMALL), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 64)
        assert model(x).shape == (2, classes)


def test_lanes_run_in_16_bits(images: Images) -> None:
    """There attention's 16 bits meet a convolution's 32."""
    models = [coatnet(10, 3, 32, **SMALL) for _ in range(2)]
    params, buffers = stack_module_state(models)
    x = images()

    def logits(params: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = functional_call(models[0], ({**params, **buffers},), (x,))
        return out.float()

    assert torch.vmap(logits)(params, buffers).isfinite().all()


def test_tables_of_positions_are_no_weights_that_decay() -> None:
    found = kinds(coatnet(10, 3, 32, **SMALL))
    assert {n for n, kind in found.items() if kind == "weight" if not n.endswith("weight")} == set()
    assert {kind for n, kind in found.items() if "norm" in n.split(".")[-2]} == {"norm"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 28}, "size: 28 px is not a multiple of 32"),
        ({"size": 24, "stem_stride": 1}, "size: 24 px is not a multiple of 16"),
        ({"stem_stride": 3}, "stem_stride: 3 is neither 1 nor 2"),
        ({"dim_head": 5}, "dim_head: heads of 5 channels do not fill 384"),
        ({"dims": (1, 2, 3)}, r"dims: \(1, 2, 3\) is not a list of 4"),
        ({"depths": (2, 3, 0, 2)}, r"depths: \(2, 3, 0, 2\) is not a list of 4"),
        ({"stem": 0}, "stem: 0 is less than 1"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        coatnet(10, 3, **{"size": 32, **arguments})
