"""What changes an id, and what must not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ablation.store.identity import Rules, canonical, difference, identify, revisions

BASE: dict[str, Any] = {
    "epochs": 20,
    "optim": {"_target_": "ablation.optim.sgd.sgd", "lr": 0.1, "no_decay": ["bias", "norm"]},
    "aug": {"cutout": {"size": 16}, "mixup": {"alpha": 1.0}},
    "regularizer": {},
    "seeds": [0],
    "data": {"root": "/a", "subset": None},
}
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
keys = st.text("abcdefgh_", min_size=1, max_size=5)
configs = st.dictionaries(
    keys, st.recursive(scalars, lambda c: st.dictionaries(keys, c, min_size=1, max_size=3)), max_size=5
)


def shuffled(config: Any, random: Any) -> Any:
    if not isinstance(config, dict):
        return config
    order = list(config)
    random.shuffle(order)
    return {k: shuffled(config[k], random) for k in order}


@given(configs, st.randoms())
def test_order_of_keys_means_nothing(config: dict[str, Any], random: Any) -> None:
    assert identify(config) == identify(shuffled(config, random))


@given(configs, keys, scalars)
def test_another_value_is_another_id(config: dict[str, Any], key: str, value: Any) -> None:
    old = config.get(key, "absent")
    if isinstance(old, dict) or (old == value and type(old) is type(value)):
        return
    changed = {**config, key: value}
    same_value = not isinstance(old, bool) and not isinstance(value, bool) and old == value
    assert (identify(changed) == identify(config)) is same_value


@given(st.integers(-(10**6), 10**6))
def test_int_and_float_of_one_value_are_one(n: int) -> None:
    assert identify({"a": n}) == identify({"a": float(n)})


def test_true_is_not_one() -> None:
    assert identify({"a": True}) != identify({"a": 1})


@pytest.mark.parametrize("text", ["lr: 1e-4", "lr: 0.0001", "lr: 1.0e-4", "{lr: 1.E-4}", "x: 1e-4\nlr: ${x}"])
def test_formatting_and_interpolation_mean_nothing(text: str) -> None:
    resolved: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    assert identify({"lr": resolved["lr"]}) == identify({"lr": 1e-4})


def test_order_inside_a_group_is_kept() -> None:
    other = {**BASE, "aug": dict(reversed(BASE["aug"].items()))}
    assert identify(other) != identify(BASE)
    assert difference(BASE, other) == {"aug": (["cutout", "mixup"], ["mixup", "cutout"])}


@pytest.mark.parametrize(
    "key", ["seeds", "out", "device", "compile", "fuse", "track", "sweep", "checkpoint", "lease", "trace"]
)
def test_surroundings_are_left_out(key: str) -> None:
    assert identify({**BASE, key: {"anything": 1}}) == identify(BASE)


def test_where_the_data_lies_is_left_out_but_which_data_is_not() -> None:
    assert identify({**BASE, "data": {"root": "/b", "subset": None}}) == identify(BASE)
    assert identify({**BASE, "data": {"root": "/a", "subset": 0.5}}) != identify(BASE)


def test_an_empty_new_group_keeps_ids() -> None:
    assert identify({**BASE, "newgroup": {}}) == identify(BASE)


def test_a_new_key_at_its_neutral_value_keeps_ids() -> None:
    grown = {**BASE, "optim": {**BASE["optim"], "dampening": 0.0}}
    assert identify(grown) != identify(BASE)
    assert identify(grown, Rules(neutral={"optim.dampening": 0})) == identify(BASE)
    used = {**BASE, "optim": {**BASE["optim"], "dampening": 0.1}}
    assert identify(used, Rules(neutral={"optim.dampening": 0})) != identify(BASE)


def test_a_renamed_key_keeps_ids() -> None:
    renamed = {**BASE, "aug": {"cutout": {"side": 16}, "mixup": {"alpha": 1.0}}}
    assert identify(renamed, Rules(renamed={"aug.cutout.side": "aug.cutout.size"})) == identify(BASE)


def test_a_renamed_option_keeps_ids() -> None:
    """Another option name, file and factory; the order within the group is of the old names too."""
    node = {"_target_": "ablation.aug.cutout.cutout", "size": 16}
    old = {"aug": {"cutout": node, "mixup": {"alpha": 1}}}
    new = {"aug": {"cut": {**node, "_target_": "ablation.aug.cut.cut"}, "mixup": {"alpha": 1}}}
    rules = Rules(renamed={"aug.cut": "aug.cutout", "ablation.aug.cut.cut": "ablation.aug.cutout.cutout"})
    assert identify(new) != identify(old)
    assert identify(new, rules) == identify(old)


def test_an_id_is_at_least_64_bits() -> None:
    assert len(identify(BASE)) * 4 >= 64


def test_a_changed_default_is_seen() -> None:
    assert difference({"sched": {"eta": 1e-5}}, {"sched": {"eta": 1e-4}}) == {"sched.eta": (1e-5, 1e-4)}


def test_a_key_added_later_is_no_difference_at_its_neutral_value() -> None:
    rules = Rules(neutral={"rounds": 1, "teacher": None})
    assert difference({"epochs": 1}, {"epochs": 1, "rounds": 1, "teacher": None}, rules) == {}
    assert difference({"epochs": 1}, {"epochs": 1, "rounds": 2, "teacher": "a"}, rules) == {
        "rounds": (None, 2), "teacher": (None, "a"),
    }  # fmt: skip


def test_what_has_no_spelling_is_refused() -> None:
    with pytest.raises(ValueError, match="a=nan"):
        canonical({"a": float("nan")})


def test_golden_id() -> None:
    """Ids on users' disks must not change; if this fails, old runs are orphaned."""
    assert identify(BASE) == "b359c96a8761b00f"


def option(target: str) -> dict[str, Any]:
    return {"_target_": target}


def test_a_correction_gives_a_new_id_to_whoever_uses_the_option_and_to_nobody_else() -> None:
    rules = Rules(revised={"loss.refinery": 2})
    refinery = {**BASE, "loss": option("ablation.loss.refinery.refinery")}
    assert identify(refinery, rules) != identify(refinery)
    assert canonical(refinery, rules)["revised.loss.refinery"] == 2
    other = {**BASE, "loss": option("ablation.loss.ce.ce")}
    assert identify(other, rules) == identify(other)
    assert identify(refinery, rules) != identify(refinery, Rules(revised={"loss.refinery": 3}))


def test_a_correction_is_found_by_the_factory_whatever_the_option_is_called() -> None:
    mine = {**BASE, "aug": {"mine": option("ablation.aug.mixup.mixup")}}
    assert revisions(mine, Rules(revised={"aug.mixup": 2})) == {"aug.mixup": 2}


def test_a_correction_of_two_options_together_concerns_only_configurations_with_both() -> None:
    rules = Rules(revised={"regularizer.clip+regularizer.cotrain": 2})
    clip, cotrain = (option(f"ablation.regularizer.{name}.{name}") for name in ("clip", "cotrain"))
    alone, both = {**BASE, "regularizer": {"clip": clip}}, {**BASE, "regularizer": {"clip": clip, "cotrain": cotrain}}
    assert identify(alone, rules) == identify(alone)
    assert identify(both, rules) != identify(both)


RULES = Rules(
    neutral={"loss.eps": None, "aug.mine.p": 1, "rounds": 1},
    renamed={"aug.mine": "aug.yours", "loss.eps": "loss.epsilon", "aug.mine.mine": "aug.yours.yours"},
    revised={"loss.refinery": 2},
)


@pytest.mark.parametrize(
    "target", ["mytricks.lossy.poly", "loss.refinery.refinery", "ablations.loss.refinery.refinery"]
)
def test_no_rule_speaks_of_a_user_s_own_factory(target: str) -> None:
    """What its arguments mean is its own affair, whatever they and its module are called."""
    loss = {**BASE, "loss": {**option(target), "eps": None}, "rounds": 1}
    assert identify(loss, RULES) != identify({**BASE, "loss": option(target)}, RULES)
    assert identify(loss, RULES) == identify({**BASE, "loss": {**option(target), "eps": None}}), "rounds are ours"
    ours = {**BASE, "loss": {**option("ablation.loss.refinery.refinery"), "eps": None}}
    assert identify(ours, RULES) == identify({**BASE, "loss": option("ablation.loss.refinery.refinery")}, RULES)
    for p in (1, 2):
        aug = {"aug": {"mine": {**option("aug.mine.mine"), "p": p}, "mixup": {"alpha": 1}}}
        assert canonical(aug, RULES) == canonical(aug)


@pytest.mark.parametrize("key", ["root", "cache", "download", "in_memory"])
def test_where_the_data_lies_is_an_argument_like_others_of_a_user_s_own_factory(key: str) -> None:
    def data(target: str, value: str) -> dict[str, Any]:
        return {**BASE, "data": {**option(target), key: value}}

    assert identify(data("mytricks.dat.made", "a")) != identify(data("mytricks.dat.made", "b"))
    assert identify(data("ablation.data.cifar10.cifar10", "a")) == identify(data("ablation.data.cifar10.cifar10", "b"))
    known = {**data("mytricks.dat.made", "a"), "track": {"mine": option("mytricks.track.mine")}}
    known["data"] |= {"path": "/a", "content": "sha256:0"}
    moved = {**known, "data": {**known["data"], "path": "/b"}, "track": {}}
    assert identify(moved) == identify(known), "what the images are is known"
