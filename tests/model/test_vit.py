from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer as Torchvisions

from ablation.model.vit import vit
from ablation.state import kinds

Images = Callable[..., Tensor]
SMALL: dict[str, Any] = {"dim": 24, "depth": 2, "heads": 3}


def mebibytes(model: nn.Module) -> float:
    return sum(p.numel() for p in model.parameters()) * 4 / 2**20


def test_has_the_notes_size() -> None:
    with torch.device("meta"):
        model = vit(10, 3, 32)
    assert mebibytes(model) == pytest.approx(47.6, rel=0.01)  # table 1.0 of the CIFAR tricks
    assert sum(p.numel() for p in model.parameters()) == 12_470_026


def as_torchvision_names(ours: nn.Module) -> dict[str, Tensor]:
    """Our state under the names of torchvision, whose layers are torch.nn's own attention."""
    own = (
        ("body.cls_token", "class_token"), ("body.pos_embed", "encoder.pos_embedding"),
        ("body.patch_embed.proj", "conv_proj"), ("body.norm.", "encoder.ln."), ("head.", "heads.head."),
        ("body.blocks.", "encoder.layers.encoder_layer_"), ("norm1", "ln_1"), ("norm2", "ln_2"),
        ("attn.qkv.", "self_attention.in_proj_"), ("attn.proj", "self_attention.out_proj"),
        ("mlp.fc1", "mlp.0"), ("mlp.fc2", "mlp.3"),
    )  # fmt: skip
    renamed = {}
    for name, value in ours.state_dict().items():
        for old, new in own:
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


@pytest.mark.parametrize(("patch", "size"), [(4, 32), (8, 64)])
def test_computes_what_torchvision_computes(
    patch: int, size: int, images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    ours = vit(7, 3, size, patch=patch, mlp=2, **SMALL)
    theirs = Torchvisions(size, patch, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48, num_classes=7)
    scramble(ours)
    theirs.load_state_dict(as_torchvision_names(ours))
    x = images(2, 3, size)
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))


def test_with_the_mean_computes_what_timm_computes(images: Images, scramble: Callable[[nn.Module], None]) -> None:
    ours = vit(7, 3, 32, pool="mean", **SMALL)
    theirs = VisionTransformer(
        32, 4, num_classes=7, embed_dim=24, depth=2, num_heads=3, class_token=False, global_pool="avg"
    )
    scramble(ours)
    theirs.load_state_dict({name.removeprefix("body."): value for name, value in ours.state_dict().items()})
    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images(2)), theirs.train(training)(images(2)))


def test_starts_as_timm_starts() -> None:
    torch.manual_seed(0)
    ours = vit(10, 3, 32, **SMALL)
    torch.manual_seed(0)
    theirs = VisionTransformer(32, 4, num_classes=10, embed_dim=24, depth=2, num_heads=3).state_dict()
    assert all(torch.equal(value, theirs[name.removeprefix("body.")]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("pool", ["token", "mean"])
@pytest.mark.parametrize(
    ("channels", "size", "patch", "classes"), [(1, 28, 7, 10), (3, 64, 4, 100), (3, 224, 16, 1000)]
)
def test_shapes(pool: str, channels: int, size: int, patch: int, classes: int) -> None:
    with torch.device("meta"):
        model = vit(classes, channels, size, patch=patch, pool=pool, **SMALL)
        x = torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 24)
        assert model(x).shape == (2, classes)


def test_positions_and_tokens_are_no_weights_that_decay() -> None:
    found = kinds(vit(10, 3, 32, **SMALL))
    assert {n for n, kind in found.items() if kind == "weight"} == {
        "head.weight",
        "body.patch_embed.proj.weight",
        *(f"body.blocks.{i}.{n}.weight" for i in (0, 1) for n in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")),
    }
    assert found["body.pos_embed"] == found["body.cls_token"] == "bias"
    assert found["body.blocks.0.norm1.bias"] == "norm"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"patch": 5}, "patch: 5 does not divide the image's side, 32; nearest are 4 and 8"),
        ({"patch": 0}, "patch: 0 does not divide"),
        ({"heads": 5}, "heads: 5 does not divide dim, 384; nearest are 4 and 6"),
        ({"depth": 0}, "depth: 0 is less than 1"),
        ({"dim": 0}, "dim: 0 is less than 1"),
        ({"mlp": 0.001}, "mlp: 0.001 leaves no unit"),
        ({"pool": "tokens"}, "pool: there is no 'tokens'; did you mean token"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        vit(10, 3, 32, **arguments)
