"""Arguments are refused before anything is loaded, and by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation.build import build
from ablation.data.check import Amount, amount, check, check_arguments, held_out
from ablation.errors import ConfigError

_CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
_NAMES = sorted(file.stem for file in _CONF.glob("*.yaml"))
_PRESETS = ("imagenet", "places365")  # other arguments for a factory of another name


def _node(name: str) -> dict[str, Any]:
    node: dict[str, Any] = yaml.safe_load((_CONF / f"{name}.yaml").read_text())
    return node


@pytest.mark.parametrize(
    ("value", "much", "first"),
    [(0.5, 0.5, False), (1, 1, False), ("first:0.5", 0.5, True), ("first:25000", 25000, True)],
)
def test_amounts_are_read(value: Any, much: float, first: bool) -> None:
    found = amount("subset", value)
    assert found == Amount("subset", much, first)
    assert type(found.much) is type(much)


def test_a_count_of_one_is_one_image_and_a_share_of_one_is_all() -> None:
    assert Amount("subset", 1, False).of(50000) == 1
    assert Amount("subset", 0.999, False).of(50000) == 49950


@pytest.mark.parametrize(
    "value", [0, -3, 0.0, 1.5, float("nan"), True, "half", "0.5", "first", "first:", "last:3", [1]]
)
@pytest.mark.parametrize("argument", ["subset", "test_subset"])
def test_other_amounts_are_refused(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{argument}: "):
        check(**{argument: value})


@pytest.mark.parametrize("value", [None, 0, 0.0])
def test_no_validation_set(value: Any) -> None:
    assert held_out(value) is None


@pytest.mark.parametrize("value", [1.0, 2.5, -1, -0.1, True, False, "first:0.1", "0.1"])
def test_impossible_validation_sets(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^val: "):
        check(val=value)


@pytest.mark.parametrize(
    ("argument", "value", "way_out"),
    [
        ("view", "pad_crop_flop", "did you mean pad_crop_flip"),
        ("view", "_crop", "valid|did you mean"),
        ("view", None, "did you mean none"),
        ("pad", -1, "at least 0"),
        ("pad", 4.5, "whole number"),
        ("pad", True, "number"),
        ("split_seed", -1, "at least 0"),
        ("norm", "imagnet", "did you mean imagenet"),
        ("val", 1.0, "share below 1"),
        ("subset", "fist:0.5", "first:0.5"),
    ],
)
def test_build_names_the_key(argument: str, value: Any, way_out: str) -> None:
    node = {**_node("cifar10"), "root": "/nowhere", "download": False, argument: value}
    with pytest.raises(ValueError, match=f"^{argument}: .*({way_out})"):
        check_arguments(node)
    with pytest.raises(ConfigError, match=rf"^data\.{argument}: .*({way_out})"):
        build(node, "data")


@pytest.mark.parametrize(
    ("argument", "value"),
    [("size", 0), ("size", 1.5), ("in_memory", "yes"), ("in_memory", 1), ("test_crop", 0), ("test_crop", 1.1)],
)
def test_the_folder_s_own_arguments(argument: str, value: Any) -> None:
    node = {**_node("folder"), "path": "/nowhere", argument: value}
    with pytest.raises(ValueError, match=f"^{argument}: "):
        check_arguments(node)
    with pytest.raises(ConfigError, match=rf"^data\.{argument}: "):
        build(node, "data")


@pytest.mark.parametrize("name", ["arrays", "folder", *_PRESETS])
def test_a_path_must_be_given(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.path: .*data\.path=PATH"):
        build(_node(name), "data")


@pytest.mark.parametrize("name", _NAMES)
def test_the_defaults_pass(name: str) -> None:
    check_arguments({**_node(name), **({"path": "somewhere"} if "path" in _node(name) else {})})


@pytest.mark.parametrize("name", sorted({*_NAMES} - {*_PRESETS}))
def test_the_yaml_has_every_argument_and_its_default(name: str) -> None:
    import importlib
    import inspect

    node = _node(name)
    assert node.pop("_target_") == f"ablation.data.{name}.{name}"
    factory = getattr(importlib.import_module(f"ablation.data.{name}"), name)
    assert node == {key: p.default for key, p in inspect.signature(factory).parameters.items()}
