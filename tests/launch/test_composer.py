"""Fast composition is Hydra's, override by override."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hydra import compose
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from launch.compose.composer import Composer
from launch.compose.hydra_version import initialized


@pytest.fixture(autouse=True, scope="module")
def composer() -> Iterator[Composer]:
    """One for all tests: what it keeps of one arm must not reach the next."""
    with initialized():
        yield Composer()


def attempt(composed: Callable[[], tuple[DictConfig, Any]]) -> Any:
    """The values and the choices, or the refusal."""
    try:
        config, choices = composed()
        return OmegaConf.to_container(config, resolve=True), choices
    except (HydraException, OmegaConfBaseException, ValueError) as e:
        return type(e), str(e)


def hydras(row: Sequence[str]) -> tuple[DictConfig, Any]:
    config = compose("config", list(row), return_hydra_config=True)
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return config, choices


def ours(composer: Composer, row: Sequence[str]) -> tuple[DictConfig, Any]:
    composed = composer(row)
    assert OmegaConf.is_struct(composed.config)
    return composed.config, composed.choices


_OVERRIDES = (
    "data=digits", "data=cifar10", "model=resnet20", "model=resnet18", "aug=[]", "aug=mixup", "aug=[cutout,mixup]",
    "aug=[mixup,cutout]", "regularizer=ema", "init=[kaiming,zero_gamma]", "sched=cosine", "sched=multistep",
    "recipe=lab_resnet20", "recipe=smoke", "track=[]", "~track", "~data.subset", "~epochs", "~epochs=20",
    "optim.lr=0.3", "optim={lr: 0.4}", "+optim.extra=[1,2]", "++optim.lr=7", "+epochs=3", "epochs=3", "seeds=[0,1]",
    "aug.mixup.alpha=0.3", "aug.mixup={alpha: 0.5}", "+aug.mixup.alpha=2", "+aug.own={_target_: x.y, a: 1}",
    "+new.deep.key=${epochs}", "batch_size=${epochs}", "out=a/${sweep}/b", "sweep='a b'", "checkpoint.epochs=null",
    "+aug=cutout", "aug=nothing", "nothing=1", "optim.nothing=1", "data=[digits]", "model=null", "epochs=1,2",
    "aug@sched=mixup", "data.view=none", "sched.eta=1e-4", "model.depth=8", "+recipe@here=smoke",
)  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(row=st.lists(st.sampled_from(_OVERRIDES), min_size=2, max_size=7))
def test_any_override_list_is_composed_as_hydra_composes_it(composer: Composer, row: list[str]) -> None:
    expected, found = attempt(lambda: hydras(row)), attempt(lambda: ours(composer, row))
    if isinstance(expected[0], type):
        assert isinstance(found[0], type), "of several mistakes another may be found first"
    else:
        assert found == expected


@pytest.mark.parametrize("override", _OVERRIDES)
def test_each_override_alone(composer: Composer, override: str) -> None:
    assert attempt(lambda: ours(composer, [override])) == attempt(lambda: hydras([override]))


def test_an_arms_configuration_is_its_own(composer: Composer) -> None:
    first = composer(["aug=mixup"])
    first.config.aug.mixup.alpha = 9.0
    first.config.seeds.append(5)
    assert composer(["aug=mixup"]).config.aug.mixup.alpha == 1.0
    assert composer(["aug=mixup", "seeds=3"]).config.seeds == 3


def test_the_time_in_an_out_is_one_for_all_arms(composer: Composer) -> None:
    outs = set()
    for row in (["aug=mixup"], ["aug=cutout"], ["aug=mixup", "optim.lr=0.3"]):
        outs.add(composer([*row, "out=runs/${now:%Y-%m-%d}/${now:%H-%M-%S}"]).config.out)
        time.sleep(1.1)
    assert len(outs) == 1


def test_options_on_a_search_path_are_found(tmp_path: Any) -> None:
    (tmp_path / "aug").mkdir()
    (tmp_path / "aug" / "mine.yaml").write_text("mine:\n  _target_: my.aug\n  strength: 2\n")
    search = [f"hydra.searchpath=[file://{tmp_path}]"]
    composed = Composer(search)(["aug=[mine,mixup]", "aug.mine.strength=3"])
    expected = compose("config", [*search, "aug=[mine,mixup]", "aug.mine.strength=3"])
    assert OmegaConf.to_container(composed.config, resolve=True) == OmegaConf.to_container(expected, resolve=True)
    assert composed.config.aug.mine.strength == 3
