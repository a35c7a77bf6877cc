"""The grid language against what one would write out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from tiny import options

from ablation.errors import ConfigError
from launch.compose.arms import compose_arms
from launch.compose.errors import message
from launch.compose.grid import Grid, GridRow
from launch.compose.hydra_version import initialized


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with initialized():
        yield


def rows(grid: dict[str, Any], *typed: str) -> list[GridRow]:
    return Grid(GlobalHydra.instance().config_loader()).expand(grid, typed)


def lines(grid: dict[str, Any], *typed: str) -> list[str]:
    return [" ".join(row.overrides) for row in rows(grid, *typed)]


def test_an_empty_grid_is_the_baseline() -> None:
    assert lines({}) == [""]
    assert lines({"params": None, "rows": []}, "aug=mixup") == ["aug=mixup"]


def test_the_command_line_is_hydras_own() -> None:
    assert lines({}, "aug=[],cutout,[cutout,mixup]", "epochs=range(1,4)") == [
        f"aug={aug} epochs={epochs}" for aug in ("[]", "cutout", "[cutout,mixup]") for epochs in (1, 2, 3)
    ]
    assert lines({}, "model=glob(resnet*,exclude=resnet_*)") == [
        f"model={m}" for m in options("model") if m.startswith("resnet") and not m.startswith("resnet_")
    ]
    assert lines({}, "optim.lr=choice(0.1,0.2)", "~track.mlflow", "+data.x='a b'") == [
        f"optim.lr={lr} ~track.mlflow +data.x='a b'" for lr in (0.1, 0.2)
    ]


def test_of_two_axes_of_one_key_the_later_one_counts_and_that_is_said() -> None:
    grid = Grid(GlobalHydra.instance().config_loader())
    found = grid.expand({"params": {"epochs": "1,2"}}, ["optim.lr=0.1,0.2", "epochs=3", "optim.lr=0.3"])
    assert [" ".join(row.overrides) for row in found] == ["optim.lr=0.3 epochs=3"]
    assert grid.notes == ["the command line: optim.lr=0.1,0.2 does nothing: optim.lr=0.3 stands later and counts"]


def test_params_mean_what_they_mean_after_an_equals_sign() -> None:
    grid = {"params": {"aug": "cutout,mixup", "seeds": [0, 1], "init": ["kaiming"], "data.val": None, "fuse": True}}
    assert lines(grid) == [f"aug={a} seeds=[0,1] init=[kaiming] data.val=null fuse=true" for a in ("cutout", "mixup")]


def test_zipped_keys_vary_together_and_the_last_axis_fastest() -> None:
    grid = {"params": {"epochs": "1,2"}, "zip": [{"optim.lr": "0.1,0.2", "batch_size": "64,128"}]}
    assert lines(grid, "aug=[],mixup") == [
        f"epochs={e} {pair} aug={a}"
        for e in (1, 2)
        for pair in ("optim.lr=0.1 batch_size=64", "optim.lr=0.2 batch_size=128")
        for a in ("[]", "mixup")
    ]


def test_unequal_zips_name_both_keys() -> None:
    with pytest.raises(ConfigError, match=r"zip\[0\]: aug has 3 values, optim\.lr has 1 value;"):
        rows({"zip": [{"aug": "cutout,mixup,channel_drop", "optim.lr": [0.1, 0.2, 0.3]}]})


def test_union_and_rows_are_concatenated_and_multiplied_with_the_rest() -> None:
    grid = {
        "params": {"sched": "cosine"},
        "union": [{"params": {"aug": "cutout,mixup"}}, {"zip": [{"epochs": "1,2", "optim.lr": "0.1,0.2"}]}, {}],
        "rows": ["aug=mixup aug.mixup.alpha=0.3,0.5", ["aug=[cutout,mixup]"], {"label": "last", "overrides": []}],
    }
    parts = [
        "aug=cutout ", "aug=mixup ", "epochs=1 optim.lr=0.1 ", "epochs=2 optim.lr=0.2 ", "",
        "aug=mixup aug.mixup.alpha=0.3 ", "aug=mixup aug.mixup.alpha=0.5 ", "aug=[cutout,mixup] ", "",
    ]  # fmt: skip
    assert lines(grid, "seeds=3") == [f"sched=cosine {part}seeds=3" for part in parts]


def test_rows_keep_what_tables_say_of_them() -> None:
    found = rows({"rows": [{"label": "mixup", "overrides": "aug=mixup", "reported": {"acc": 92.1}}]}, "epochs=1,2")
    assert [(row.overrides, row.about) for row in found] == [
        (("aug=mixup", f"epochs={e}"), {"label": "mixup", "reported": {"acc": 92.1}}) for e in (1, 2)
    ]


def test_the_command_line_replaces_what_the_grid_says() -> None:
    grid = {
        "params": {"epochs": "100,200", "aug": "cutout,mixup"},
        "zip": [{"optim.lr": "0.1,0.2", "batch_size": "64,128,256"}],
        "rows": ["sched=cosine epochs=200", "sched=multistep"],
    }
    assert lines(grid, "epochs=3", "batch_size=32", "aug=[]") == [
        f"optim.lr={lr} sched={sched} epochs=3 batch_size=32 aug=[]"
        for lr in (0.1, 0.2)
        for sched in ("cosine", "multistep")
    ]


def test_exclusions_see_the_finished_arm() -> None:
    grid = {
        "union": [{"params": {"aug": "cutout,mixup"}, "exclude": ["aug=mixup optim.lr=0.1,0.30"]}, {}],
        "exclude": [["aug=cutout", "optim.lr=2e-1"]],
    }
    assert lines(grid, "optim.lr=0.1,0.2,0.3") == [
        "aug=cutout optim.lr=0.1", "aug=cutout optim.lr=0.3", "aug=mixup optim.lr=0.2",
        "optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.3",
    ]  # fmt: skip


def test_an_exclusion_of_nothing_is_noted_and_one_of_everything_refused() -> None:
    grid = Grid(GlobalHydra.instance().config_loader())
    grid.expand({"exclude": ["aug=mixup", "aug=cutout"]}, ["aug=mixup,channel_drop"])
    assert grid.notes == ["hydra.sweeper.exclude[1] excludes no arm"]
    with pytest.raises(ConfigError, match=r"exclude: leaves none of 2 arms"):
        rows({"exclude": ["aug=cutout,mixup"]}, "aug=cutout,mixup")


def test_a_teacher_is_said_as_on_the_command_line() -> None:
    assert lines({"params": {"teacher": "same,model=resnet56 epochs=30"}, "rows": ["loss=distill"]}) == [
        "teacher=same loss=distill",
        "teacher='model=resnet56 epochs=30' loss=distill",
    ]
    assert lines({"rows": ["loss=distill 'teacher=model=resnet56 epochs=30'"]}) == [
        "loss=distill teacher='model=resnet56 epochs=30'"
    ]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"excludes": []}, r"hydra\.sweeper\.excludes: no such key; did you mean exclude"),
        ({"union": [{"parms": {}}]}, r"union\[0\]\.parms: no such key; did you mean params"),
        ({"params": ["aug=mixup"]}, r"hydra\.sweeper\.params: is \['aug=mixup'\]; give a mapping"),
        ({"rows": "aug=mixup"}, r"hydra\.sweeper\.rows: is 'aug=mixup'; give a list"),
        ({"rows": [{"label": "x"}]}, r"rows\[0\]: has no `overrides`"),
        ({"rows": ["aug='mixup"]}, r"rows\[0\]: aug='mixup: No closing quotation"),
        ({"rows": ["table=other"]}, r"rows\[0\]: table=other: belongs on the command line"),
        ({"params": {"hydra/launcher": "plan"}}, r"hydra/launcher=plan: belongs on the command line"),
        ({"params": {"optim.lr": "interval(0,1)"}}, r"has no list of values; give one, such as optim\.lr=a,b"),
        ({"params": {"model": "glob(nothing*)"}}, r"glob\(nothing\*\): matches no option"),
        ({"exclude": [""]}, r"exclude\[0\]: is empty"),
    ],
)
def test_mistakes_in_a_grid_are_named(grid: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rows(grid)


def test_what_is_no_override_is_hydras_to_refuse() -> None:
    for grid, typed in (({"rows": ["aug=[a,b"]}, []), ({}, ["aug=[a,b"])):
        with pytest.raises(HydraException) as refused:
            rows(grid, *typed)
        assert message(refused.value).startswith("aug=[a,b: is not an override: ")


_KEYS = st.sampled_from(["optim.lr", "epochs", "batch_size", "sched.gamma"])
_VALUES = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)


@given(params=st.dictionaries(_KEYS, _VALUES, max_size=3), typed=st.dictionaries(_KEYS, _VALUES, max_size=2))
def test_every_arm_is_a_list_that_can_be_typed_and_says_each_key_once(
    params: dict[str, list[int]], typed: dict[str, list[int]]
) -> None:
    def text(values: list[int]) -> str:
        return ",".join(map(str, values))

    found = rows({"params": {k: text(v) for k, v in params.items()}}, *(f"{k}={text(v)}" for k, v in typed.items()))
    axes = {**{k: v for k, v in params.items() if k not in typed}, **typed}
    number = 1
    for values in axes.values():
        number *= len(values)
    assert len({row.overrides for row in found}) == len(found) == number
    for row in found:
        said = dict(override.split("=") for override in row.overrides)
        assert said.keys() == axes.keys()
        assert all(int(value) in axes[key] for key, value in said.items())


def test_arms_come_in_the_order_of_the_grid() -> None:
    found = rows({"rows": ["aug=mixup", "", "aug=cutout"]}, "optim.lr=0.2,0.1")
    planned = compose_arms([row.overrides for row in found])
    assert [p.arm.name for p in planned] == [
        "aug=mixup,optim.lr=0.2", "aug=mixup,optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.1",
        "aug=cutout,optim.lr=0.2", "aug=cutout,optim.lr=0.1",
    ]  # fmt: skip
