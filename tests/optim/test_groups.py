import math

import pytest
import torch
from timm.models.resnet import resnet18d
from timm.models.resnetv2 import resnetv2_18
from timm.optim import param_groups_layer_decay
from torch import nn

from ablation.model.resnet import resnet
from ablation.model.resnet_cifar import resnet_cifar
from ablation.optim._depth import depths
from ablation.optim._groups import scaled
from ablation.state import kinds


def test_scaling_is_the_papers() -> None:
    assert scaled(0.1, 8192, "linear", 256) == pytest.approx(3.2)
    assert scaled(0.1, 1024, "sqrt", 256) == pytest.approx(0.2)
    assert scaled(0.1, 1024, "none", 256) == 0.1
    assert math.isclose(scaled(0.1, 512, "linear", 512), 0.1)


def build(make: object) -> nn.Module:
    with torch.device("meta"):
        return make()  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("make", [resnet18d, resnetv2_18], ids=["post", "pre"])
def test_blocks_are_timms_layers(make: object) -> None:
    model = build(make)
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    names = {name.replace("fc.", "head.", 1): p for name, p in model.named_parameters()}
    ours = depths(dict.fromkeys(names, "weight"))
    assert max(ours.values()) == 9, "the stem, before eight blocks and the head"
    for name, p in names.items():
        assert scales[id(p)] == 0.5 ** ours[name], name


def of(model: nn.Module) -> dict[str, int]:
    return depths(kinds(nn.ModuleDict({"model": model})))


@pytest.mark.parametrize("preact", [False, True])
def test_our_blocks_stem_and_head(preact: bool) -> None:
    found = of(build(lambda: resnet_cifar(10, 3, 32, depth=14, preact=preact)))
    for name, depth in found.items():
        part, number = name.split(".")[1:3]
        expected = {"stem": 7, "tail": 1, "head": 0}.get(part)
        assert depth == (6 - int(number) if expected is None else expected), name
    assert {found[name] for name in found} == set(range(8))


def test_blocks_of_stages_are_counted_through() -> None:
    found = of(build(lambda: resnet(10, 3, 32, 18)))
    assert found["model.stem.0.weight"] == found["model.stem.1.bias"] == 9
    assert found["model.blocks.0.branch.conv1.weight"] == 8
    assert found["model.blocks.2.shortcut.0.weight"] == found["model.blocks.2.branch.conv1.weight"] == 6
    assert found["model.head.weight"] == 0


def test_without_blocks_each_layer_with_its_norm() -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    found = of(nn.ModuleDict({"body": body, "head": nn.Linear(4, 2)}))
    assert [found[f"model.body.{i}.bias"] for i in (0, 1, 3, 4)] == [2, 2, 1, 1]
    assert found["model.head.bias"] == 0


def test_networks_in_one_are_counted_by_themselves_and_terms_are_near_the_output() -> None:
    one = {"stem.weight": 2, "blocks.0.branch.conv1.weight": 1, "head.weight": 0}
    names = {f"model.members.{i}.{name}": depth for i in range(2) for name, depth in one.items()}
    names["term_modules.rotation.linear.weight"] = 0
    assert depths(dict.fromkeys(names, "weight")) == names
    assert depths({"weight": "weight"}) == {"weight": 0}
