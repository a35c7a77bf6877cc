"""What an arm is called, whatever the form and the order in which its overrides were typed."""

from __future__ import annotations

import pytest

from launch.compose.arms import compose_arms
from launch.compose.grid import GridRow
from launch.compose.hydra_version import initialized
from launch.compose.naming import common_and_distinct, full_name, short_names
from launch.tables.labels import labels


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["optim={lr:0.5}", "optim.lr=0.3"], "optim.lr=0.3"),
        (["optim.lr=0.3", "optim={lr:0.5}"], "optim.lr=0.5"),
        (["optim.lr=0.3", "optim={momentum:0.5}"], "optim.lr=0.3,optim.momentum=0.5"),
        (["aug.mixup.alpha=2", "aug=mixup"], "aug.mixup.alpha=2,aug=mixup"),
        (["+aug.mine={_target_:my.aug,p:{q:1}}", "~aug.mine"], "~aug.mine"),
        (["~aug.mine", "+aug.mine={p:1}"], "aug.mine.p=1,~aug.mine"),
        (["+loss.mode=true", "+loss.of=[false,{a:true}]"], "loss.mode=true,loss.of=[false,{a:true}]"),
        (["model.image_norm=false"], "baseline"),
        (["recipe=lab_preact20", "model.image_norm=false"], "model.image_norm=false,recipe=lab_preact20"),
    ],
)
def test_a_name_is_what_the_overrides_come_to(typed: list[str], name: str) -> None:
    assert full_name(typed) == name


def test_arms_of_which_the_order_decides_have_names_of_their_own() -> None:
    rows = ["optim={lr:0.5} optim.lr=0.1", "optim.lr=0.1 optim={lr:0.5}", "optim.lr=0.5"]
    with initialized():
        first, second = compose_arms([row.split() for row in rows])
    assert [p.config["optim"]["lr"] for p in (first, second)] == [0.1, 0.5]
    assert short_names({p.arm.id: p.arm.name for p in (first, second)})[1] == {
        first.arm.id: "lr=0.1",
        second.arm.id: "lr=0.5",
    }


def test_what_is_quoted_or_in_brackets_is_one_value() -> None:
    rows = (["teacher='model=resnet20,epochs=3'"], ["teacher='model=resnet20,epochs=4'", "epochs=3"])
    common, rest = common_and_distinct({str(n): full_name(row) for n, row in enumerate(rows)})
    assert common == ""
    assert rest == {
        "0": "teacher='model=resnet20,epochs=3'",
        "1": "epochs=3,teacher='model=resnet20,epochs=4'",
    }
    rows = (["+loss.of=['a=1,b=2']", r"+loss.what='it\'s, x=1'"], ["+loss.of=['a=1,b=3']", r"+loss.what='it\'s, x=1'"])
    common, _ = common_and_distinct({str(n): full_name(row) for n, row in enumerate(rows)})
    assert common == r"loss.what='it\'s, x=1'"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        # Both options have an alpha, and only one is varied.
        (
            ["aug.mixup.alpha=1,aug=[dual_cutout,mixup]", "aug.mixup.alpha=2,aug=[dual_cutout,mixup]"],
            ["mixup.alpha=1", "mixup.alpha=2"],
        ),
        (["aug.mixup.alpha=1,aug=[dual_cutout,mixup]", "baseline"], ["dual_cutout+mixup mixup.alpha=1", "baseline"]),
        # What stands before it has an alpha that is not meant.
        (["aug=mixup,loss.alpha=1,loss=distill", "aug=mixup,loss=distill"], ["loss.alpha=1", "baseline"]),
        (["aug=mixup,loss.alpha=1", "loss=distill"], ["mixup loss.alpha=1", "distill"]),
        (["optim.lr=1,regularizer=ema", "optim.lr=2"], ["ema optim.lr=1", "optim.lr=2"]),
        # After its own option, and where nothing else is meant, the word alone is enough.
        (
            ["aug.mixup.alpha=1,aug=mixup,loss.alpha=2,loss=distill", "aug.cutmix.beta=1,aug=cutmix"],
            ["mixup alpha=1 distill alpha=2", "cutmix beta=1"],
        ),
        (["optim.lr=1,regularizer=sam", "optim.lr=2"], ["sam lr=1", "lr=2"]),
        (["~aug", "~loss"], ["no aug", "no loss"]),
    ],
)
def test_an_argument_is_named_with_its_option_where_another_could_be_meant(names: list[str], told: list[str]) -> None:
    assert list(short_names({str(n): name for n, name in enumerate(names)})[1].values()) == told


def test_what_is_taken_away_is_said_to_be_gone() -> None:
    names = {"a": "recipe=lab,~aug.mixup", "b": "loss.mode=true,recipe=lab", "c": "recipe=lab"}
    assert list(short_names(names)[1].values()) == ["no mixup", "mode=true", "baseline"]


def test_arms_of_one_name_are_told_apart_by_their_ids_and_rows_of_one_arm_are_not() -> None:
    names = {"0123456789": "aug=cutout", "fedcba9876": "aug=cutout", "77": "loss=kl"}
    assert list(short_names(names)[1].values()) == ["cutout 012345", "cutout fedcba", "kl"]
    assert labels([GridRow(("aug=cutout",)), GridRow(("aug=cutout",)), GridRow(("loss=kl",))]) == [
        "cutout",
        "cutout",
        "kl",
    ]
