"""All arms of a sweep are checked before one starts; one id is one arm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose

from ablation.errors import ConfigError
from ablation.identity import identify
from launch.arm import plain, rules, settle
from launch.arms import gather
from launch.hydra_version import initialized


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialized():
        yield


def test_arms_are_what_a_single_run_would_be() -> None:
    rows = [[], ["aug=[cutout,mixup]", "aug.mixup.alpha=0.3"], ["recipe=smoke", "optim.lr=0.2"]]
    planned = gather(rows)
    assert [p.arm.overrides for p in planned] == rows
    for p, row in zip(planned, rows, strict=True):
        alone, _ = settle(plain(compose("config", row)), row)
        assert p.config == alone
        assert p.arm.id == identify(alone, rules())
    assert planned[1].arm.command == "python launch/run.py 'aug=[cutout,mixup]' aug.mixup.alpha=0.3"
    assert planned[1].arm.groups["aug"] == "cutout+mixup"
    assert planned[2].arm.groups["data"] == "digits"


def test_every_bad_arm_is_told_before_any_starts() -> None:
    good = [[f"optim.lr=0.{n:02d}"] for n in range(1, 38)]
    bad = [["aug=cutot", "epochs=3"], ["epochs=-1"], ["aug=cutout", "aug.cutout.sise=3"], ["aug.mixup.alpha=1"]]
    with pytest.raises(ConfigError) as refused:
        gather([*good, *bad])
    said = str(refused.value)
    assert said.startswith("4 of 41 arms refused, nothing was started:")
    assert "arm 37 (aug=cutot epochs=3): aug=cutot: no such option; did you mean cutout?" in said
    assert "arm 38 (epochs=-1): epochs=-1: give a whole number" in said
    assert "did you mean aug.cutout.size?" in said
    assert "mixup is not chosen; add aug=mixup" in said


def test_a_thousand_bad_arms_are_counted_not_listed() -> None:
    with pytest.raises(ConfigError) as refused:
        gather([[f"epochs=-{n}"] for n in range(1, 41)])
    assert len(str(refused.value).splitlines()) == 22
    assert str(refused.value).endswith("and 20 more")


def test_arms_of_one_id_are_one_arm_with_the_seeds_of_all() -> None:
    first, other = gather(
        [["seeds=[3,0]"], ["aug=mixup"], ["seeds=2", "device=cpu"], ["optim.lr=0.1", "seeds=[7]"]], search=()
    )
    assert first.seeds == (3, 0, 1, 7)
    assert first.config["device"] == "auto"
    assert first.arm.overrides == ["seeds=[3,0,1,7]"]
    assert first.arm.command == "python launch/run.py 'seeds=[3,0,1,7]'"
    assert first.notes == (
        'device="cpu" is left out: baseline is run with "auto"',
        "optim.lr=0.1 is the same arm as baseline: its trials are run once",
    )
    assert other.arm.name == "aug=mixup"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("+aug.own={_traget_: x.y, a: 1}", "aug.own: needs a _target_"),
        ("+aug.own={}", "aug.own: needs a _target_"),
        ("+aug={own: {_traget_: x.y}}", "aug.own: needs a _target_"),
        ("+aug.mixup={alpha: 0.5}", "aug.mixup: needs a _target_|add aug=mixup"),
        ("+aug.mixup=0.5", r"aug.mixup=0.5: is no option; in a file conf/aug/NAME.yaml"),
        ("+regularizer.ema={decay: 0.9}", "regularizer.ema: needs a _target_|add regularizer=ema"),
        ("++optim={momentun: 0.8}", "optim.momentun: no such argument; did you mean"),
        ("++optim.momentun=0.8", "optim.momentun: no such argument; did you mean"),
    ],
)
def test_what_is_typed_as_a_mapping_is_never_dropped(typed: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        gather([[typed]])


@pytest.mark.parametrize("value", ["no", "off", "0", "null"])
def test_what_is_true_or_false_is_said_so(value: str) -> None:
    """Any text is true to Python."""
    with pytest.raises(ConfigError, match=r"model\.preact: .* is neither true nor false"):
        gather([[f"model.preact={value}"]])


def test_what_a_recipe_set_for_another_option_is_dropped_with_a_note() -> None:
    (planned,) = gather([["recipe=lab_resnet20", "sched=multistep", "++optim={momentum: 0.8}"]])
    assert planned.config["optim"]["momentum"] == 0.8
    assert [note for note in planned.notes if note.startswith("left out") and "sched." in note]


def test_every_way_of_running_that_one_arm_cannot_have_at_once_is_noted() -> None:
    rows = [[f"device={d}", f"fuse={f}"] for d in ("cpu", "cuda") for f in ("false", "true")]
    (one,) = gather([*rows, ["device=cpu", "fuse=false", "track=[]", "checkpoint.epochs=2", "seeds=3"]])
    assert (one.config["device"], one.config["fuse"], one.seeds) == ("cpu", False, (0, 1, 2))
    noted = [note.partition(" is left out")[0] for note in one.notes]
    assert noted[:2] == ["fuse=true", 'device="cuda"']
    assert "checkpoint.epochs=2" in noted
    assert "track.mlflow._target_=null" in noted
    assert len(set(noted)) == len(noted)


@pytest.mark.parametrize("key", ["out", "sweep"])
def test_a_sweep_has_one_place(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: has the values a, b in one sweep"):
        gather([[f"{key}=a"], [f"{key}=b"]])


def test_a_single_refused_arm_is_told_plainly() -> None:
    with pytest.raises(ConfigError, match=r"^aug=cutot: no such option; did you mean cutout\?$"):
        gather([["aug=cutot"]])
    with pytest.raises(ConfigError, match=r"^table: is a grid, not an arm; run it with -m$"):
        gather([["table=lab/postact_mixup"]])
