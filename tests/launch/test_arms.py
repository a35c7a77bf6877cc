"""All arms of a sweep are checked before one starts; one id is one arm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose

from ablation.errors import ConfigError
from ablation.store.identity import identify
from launch.compose.arm import resolved, settle
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.tables.definition import define_rows


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialized():
        yield


def test_arms_are_what_a_single_run_would_be() -> None:
    rows = [[], ["aug=[cutout,mixup]", "aug.mixup.alpha=0.3"], ["recipe=smoke", "optim.lr=0.2"]]
    planned = compose_arms(rows)
    assert [p.arm.overrides for p in planned] == rows
    for p, row in zip(planned, rows, strict=True):
        alone, _ = settle(resolved(compose("config", row)), row)
        assert p.config == alone
        assert p.arm.id == identify(alone, rules())
    assert planned[1].arm.command == "python launch/run.py 'aug=[cutout,mixup]' aug.mixup.alpha=0.3"
    assert planned[1].arm.groups["aug"] == "cutout+mixup"
    assert planned[2].arm.groups["data"] == "digits"


def test_every_bad_arm_is_told_before_any_starts() -> None:
    good = [[f"optim.lr=0.{n:02d}"] for n in range(1, 38)]
    bad = [["aug=cutot", "epochs=3"], ["epochs=-1"], ["aug=cutout", "aug.cutout.sise=3"], ["aug.mixup.alpha=1"]]
    with pytest.raises(ConfigError) as refused:
        compose_arms([*good, *bad])
    said = str(refused.value)
    assert said.startswith("4 of 41 arms refused, nothing was started:")
    assert "arm 37 (aug=cutot epochs=3): aug=cutot: no such option; did you mean cutout?" in said
    assert "arm 38 (epochs=-1): epochs=-1: give a whole number" in said
    assert "did you mean aug.cutout.size?" in said
    assert "mixup is not chosen; add aug=mixup" in said


def test_a_thousand_bad_arms_are_counted_not_listed() -> None:
    with pytest.raises(ConfigError) as refused:
        compose_arms([[f"epochs=-{n}"] for n in range(1, 41)])
    assert len(str(refused.value).splitlines()) == 12
    assert str(refused.value).endswith("and 30 more")


def test_arms_of_one_id_are_one_arm_with_the_seeds_of_all() -> None:
    first, other = compose_arms(
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
        compose_arms([[typed]])


@pytest.mark.parametrize("value", ["no", "off", "0", "null"])
def test_what_is_true_or_false_is_said_so(value: str) -> None:
    """Any text is true to Python."""
    with pytest.raises(ConfigError, match=r"model\.preact: .* is neither true nor false"):
        compose_arms([[f"model.preact={value}"]])


def test_what_a_recipe_set_for_another_option_is_dropped_with_a_note() -> None:
    (planned,) = compose_arms([["recipe=lab_resnet20", "sched=multistep", "++optim={momentum: 0.8}"]])
    assert planned.config["optim"]["momentum"] == 0.8
    assert [note for note in planned.notes if note.startswith("left out") and "sched." in note]


def test_every_way_of_running_that_one_arm_cannot_have_at_once_is_noted() -> None:
    rows = [[f"device={d}", f"fuse={f}"] for d in ("cpu", "cuda") for f in ("false", "true")]
    (one,) = compose_arms([*rows, ["device=cpu", "fuse=false", "track=[]", "checkpoint.epochs=2", "seeds=3"]])
    assert (one.config["device"], one.config["fuse"], one.seeds) == ("cpu", False, (0, 1, 2))
    noted = [note.partition(" is left out")[0] for note in one.notes]
    assert noted[:2] == ["fuse=true", 'device="cuda"']
    assert "checkpoint.epochs=2" in noted
    assert "track.mlflow._target_=null" in noted
    assert len(set(noted)) == len(noted)


@pytest.mark.parametrize("key", ["out", "sweep"])
def test_a_sweep_has_one_place(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: has the values a, b in one sweep"):
        compose_arms([[f"{key}=a"], [f"{key}=b"]])


def test_a_single_refused_arm_is_told_plainly() -> None:
    with pytest.raises(ConfigError, match=r"^aug=cutot: no such option; did you mean cutout\?$"):
        compose_arms([["aug=cutot"]])
    with pytest.raises(ConfigError, match=r"^table: is a grid, not an arm; run it with -m$"):
        compose_arms([["table=lab/postact_mixup"]])


MINE = """
from ablation.aug.mixup import mixup
from ablation.data.digits import digits
from ablation.loss.ce import ce

def poly(eps=1.0): return ce()
def made(root="a"): return digits()
def mixed(alpha=1.0, per="batch", larger=False): return mixup()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tricks_of_a_user.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


LOSS, DATA = "loss._target_=tricks_of_a_user.poly", "data._target_=tricks_of_a_user.made"
MIXED = "tricks_of_a_user.mixed"


@pytest.mark.usefixtures("mine")
def test_arguments_of_a_user_s_own_factory_make_arms_and_names() -> None:
    losses = [[LOSS, "+loss.eps=1.0"], [LOSS, "+loss.eps=null"], [LOSS]]
    places = [[DATA, "+data.root=a"], [DATA, "+data.root=b"]]
    arms = compose_arms([*losses, *places])
    assert len({p.arm.id for p in arms}) == 5
    assert [p.arm.name.partition(",")[2] for p in arms] == [
        "loss.eps=1.0",
        "loss.eps=null",
        "",
        "data.root=a",
        "data.root=b",
    ]
    assert [line.label for line in define_rows(places).lines] == ["root=a", "root=b"]
    assert [line.name for line in define_rows(losses[:2]).lines] == ["loss.eps=1.0", "loss.eps=null"]


@pytest.mark.usefixtures("mine")
def test_a_factory_in_the_place_of_an_option_s_own_gives_the_group_its_name(tmp_path: Path) -> None:
    """Filters, costs and trackers know an arm by these; an option that is new has the name that it was given."""
    (tmp_path / "recipe").mkdir()
    recipe = "# @package _global_\nloss: {_target_: tricks_of_a_user.poly}\n"
    (tmp_path / "recipe" / "of_a_user.yaml").write_text(recipe)
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "poly.yaml").write_text("_target_: tricks_of_a_user.poly\n")
    wanted: dict[tuple[str, ...], dict[str, str]] = {
        (LOSS, DATA): {"loss": "tricks_of_a_user.poly", "data": "tricks_of_a_user.made", "model": "resnet20"},
        ("~loss", "+loss={_target_: tricks_of_a_user.poly}", "epochs=1"): {"loss": "tricks_of_a_user.poly"},
        ("recipe=of_a_user", "epochs=2"): {"loss": "tricks_of_a_user.poly"},
        ("loss._target_=ablation.loss.kl.kl",): {"loss": "ablation.loss.kl.kl"},
        ("loss=kl", "epochs=3"): {"loss": "kl"},
        ("loss=poly", "epochs=4"): {"loss": "poly"},
        ("aug=[cutout,mixup]", f"aug.mixup._target_={MIXED}"): {"aug": f"cutout+{MIXED}"},
        (f"+aug.mine._target_={MIXED}",): {"aug": "mine"},
    }
    arms = compose_arms([list(row) for row in wanted], [f"hydra.searchpath=[file://{tmp_path}]"])
    for p, groups in zip(arms, wanted.values(), strict=True):
        assert p.arm.groups | groups == p.arm.groups, p.arm.name
