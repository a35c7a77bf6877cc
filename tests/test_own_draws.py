"""A student's random numbers are its own: no link of a chain starts from, sees or draws what its teacher did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations

import pytest
import torch
from hydra import compose
from one_step import CPU, images
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from ablation.key import Key
from ablation.train import Feed
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare
from launch.compose.arm import Config, resolved, settle
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized

CHAIN = (*TINY, *SMALL_MODEL, "loss=refinery", "teacher=same", "rounds=2")


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialized():
        yield


def drawn(config: Config, *seeds: int) -> dict[str, torch.Tensor]:
    """First weights, order of the first epoch's images, keys of its steps, and crops of its first batch."""
    data = images(json.dumps(config["data"]))
    plan, state = prepare(config, parts(config), data, CPU, seeds or [0])
    feed = Feed(plan, 0)
    x, y, word, t = feed.batch(0)
    return {
        "weights": state.weights.params["model.head.weight"].detach(),
        "order": feed.index,
        "keys": feed.words,
        "crops": torch.tensor(0) if seeds[1:] else plan.learner.standard(x, y, Key(word), t).x,
    }


def test_every_link_of_a_chain_differs_from_the_others_in_every_draw() -> None:
    links = [drawn(planned.config) for planned in compose_arms([CHAIN])]
    assert len(links) == 3
    for one, other in combinations(links, 2):
        assert {name for name in one if torch.equal(one[name], other[name])} == set()


def test_with_the_seed_s_draws_all_links_are_alike() -> None:
    links = [drawn(planned.config) for planned in compose_arms([[*CHAIN, "draws=seed"]])]
    for one, other in combinations(links, 2):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_students_of_one_teacher_share_their_draws() -> None:
    rows = [[*CHAIN, "rounds=1"], [*CHAIN, "rounds=1", "loss.temperature=2", "aug=cutout"]]
    one, other = (compose_arms([row])[-1].config for row in rows)
    assert one["teacher"] != other["teacher"], "its teacher has cutout too"
    one, other = one, {**other, "teacher": one["teacher"]}
    found = drawn(one), drawn(other)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_lanes_have_the_draws_of_their_seeds_alone() -> None:
    student = compose_arms([[*CHAIN, "rounds=1"]])[-1].config
    together = drawn(student, 3, 0)
    for lane, seed in enumerate((3, 0)):
        alone = drawn(student, seed)
        assert torch.equal(together["weights"][lane], alone["weights"])
        assert torch.equal(together["order"][:, lane], alone["order"])
        assert torch.equal(together["keys"][:, lane], alone["keys"])


def test_own_draws_give_students_new_ids_and_the_seed_s_keep_the_old_ones() -> None:
    row = ["loss=refinery", "teacher=same", "rounds=2"]
    older = ["2e3df3da7c7ffb68", "24d39fe86a91ac0e", "23b5a4bbdeb80cae"]  # of before there was a choice
    assert [p.arm.id for p in compose_arms([[*row, "draws=seed"]])] == older
    own = [p.arm.id for p in compose_arms([row])]
    assert own[0] == older[0]
    assert not set(own[1:]) & set(older)
    assert [p.arm.id for p in compose_arms([["loss=online_refine"]])] == ["3af8437f1295b2a0"], "no trial teaches it"


def test_without_a_teacher_there_is_nothing_to_choose() -> None:
    one, other = (settle(resolved(compose("config", [text])), [text])[0] for text in ("draws=own", "draws=seed"))
    assert one == other
    with pytest.raises(ConfigError, match=r"draws=mine: valid: own, seed"):
        compose_arms([["draws=mine"]])
