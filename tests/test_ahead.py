"""What every option draws is what it has always drawn, whether in the step or ahead of it."""

from __future__ import annotations

import gc
import json
import math
import weakref
from typing import Any

import golden_draws
import pytest
import torch
from one_step import CPU, begun, imitation, stepped
from tiny import config
from torch import Tensor

import ablation.ahead
from ablation.ahead import BLOCK, EXACT, LARGEST, Ahead
from ablation.key import Key
from ablation.state import forward
from ablation.train import Feed
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare

CASES = dict(golden_draws.cases())
GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(golden_draws.GOLDEN.read_text())
# What takes no logarithms, roots or sums has the same bits on every processor.
ROUNDED = ("rounded", "aug auto", "aug channel", "aug color", "aug cutmix", "aug gaussian", "aug mixup", "aug pca")
ROUNDED += ("aug rand", "aug random", "aug ricap", "aug trivial", "regularizer manifold", "regularizer drop_block")
ROUNDED += ("view random", "view resize")
WORDS = Key.root(5).fold("step").fold(torch.arange(6)).word
case = pytest.mark.parametrize("name", CASES)


def ready(ahead: Ahead, words: Tensor, i: int) -> Key:
    drawn = ahead.step(words, i)
    return drawn.key(words[i], drawn.values)


@case
def test_draws_are_those_of_old_runs(name: str) -> None:
    """A change here changes runs: see tests/golden_draws.py."""
    for key, golden in zip(golden_draws.KEYS, GOLDEN[name], strict=True):
        found = golden_draws.summary(CASES[name](key))
        assert found["means"] == pytest.approx(golden["means"], rel=2e-6, abs=2e-6)
        assert found["sha256"] == golden["sha256"] or name.startswith(ROUNDED)


def test_every_option_that_draws_has_an_entry() -> None:
    assert list(GOLDEN) == list(CASES)


@case
def test_draws_made_ahead_are_those_of_the_step(name: str) -> None:
    """In the step that is noted and in the others, bit for bit, and with a new epoch's words too."""
    ahead = Ahead()
    for words, i in ((WORDS, 1), (WORDS, 2), (WORDS, 5), (WORDS.flip(0), 0), (WORDS, 0)):
        found, made = CASES[name](ready(ahead, words, i)), CASES[name](Key(words[i]))
        assert [torch.equal(one, other) for one, other in zip(found, made, strict=True)] == [True] * len(made)


def test_of_lanes_too() -> None:
    ahead, words = Ahead(), torch.stack([WORDS, WORDS.flip(0)], 1)
    for i in range(4):
        drawn = ahead.step(words, i)
        call = torch.vmap(lambda w, v, d: golden_draws.exact(d.key(w, v)), in_dims=(0, 0, None))
        lanes = call(words[i], drawn.values, drawn)
        for lane in range(2):
            made = golden_draws.exact(Key(words[i, lane]))
            assert all(torch.equal(one[lane], other) for one, other in zip(lanes, made, strict=True))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (7,), (16, 1), (16, 9), (3, 129)])
def test_what_is_made_ahead_has_the_same_bits_for_one_key_and_for_many(shape: tuple[int, ...]) -> None:
    """Two thousand keys; a logarithm, whose last bit may depend on where in memory a number is, is not among these."""
    words = Key.root(11).fold(torch.arange(2000)).word
    given: dict[str, tuple[Any, ...]] = {name: shape for name in EXACT} | {
        "word": (), "uniforms": ((("a", "b"), (3,)), *shape), "bernoulli": (0.3, *shape), "integers": (10, *shape),
        "mask": (0.3, *shape, 3), "permutation": (math.prod(shape),),
    }  # fmt: skip
    for name, arguments in given.items():
        draw = ((), name, arguments)
        many = torch.vmap(lambda word, d=draw: ablation.ahead._draw(Key(word), d))(words)
        assert all(torch.equal(many[i], ablation.ahead._draw(Key(words[i]), draw)) for i in range(0, 2000, 7))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the draws that are made, one by one, from now on."""
    seen: list[str] = []
    made = ablation.ahead._draw

    def draw(key: Key, asked: Any) -> Tensor:
        seen.append(asked[1])
        return made(key, asked)

    monkeypatch.setattr(ablation.ahead, "_draw", draw)
    return seen


def test_a_step_after_the_first_makes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, seen = Ahead(), counted(monkeypatch)
    for i in range(4):
        golden_draws.exact(ready(ahead, WORDS, i))
        made = len(seen)
        seen.clear()
        # The second makes the block of those after it; a draw that was asked for twice is made once.
        assert (made > 0) == (i < 2)


def test_what_was_not_noted_is_made() -> None:
    ahead = Ahead()
    ready(ahead, WORDS, 0).fold("a").uniform(3)
    key = ready(ahead, WORDS, 1)
    assert torch.equal(key.fold("b").uniform(3), Key(WORDS[1]).fold("b").uniform(3))
    assert torch.equal(key.fold("a").uniform(4), Key(WORDS[1]).fold("a").uniform(4))
    assert torch.equal(key.fold("a").integers(9, 3), Key(WORDS[1]).fold("a").integers(9, 3))
    assert torch.equal(key.fold(torch.tensor(3)).bits(2), Key(WORDS[1]).fold(3).bits(2))


@pytest.mark.parametrize("lanes", [False, True])
def test_a_trick_may_write_into_what_it_has_drawn(lanes: bool) -> None:
    """Neither the next who asks, nor another step of the block, sees it."""
    ahead, words = Ahead(), torch.stack([WORDS, WORDS.flip(0)], 1) if lanes else WORDS

    def twice(drawn: Any, word: Tensor, values: Any) -> tuple[Tensor, Tensor]:
        key = drawn.key(word, values).fold("a")
        return key.uniform(3).mul_(0).clone(), key.uniform(3)

    for i in range(4):
        drawn = ahead.step(words, i)
        call = torch.vmap(twice, in_dims=(None, 0, 0)) if lanes else twice
        zero, again = call(drawn, words[i], drawn.values)
        expected = [Key(word).fold("a").uniform(3) for word in words[i].reshape(-1)]
        assert not zero.any()
        assert torch.equal(again, torch.stack(expected) if lanes else expected[0])


def test_a_trick_may_write_where_a_gradient_is_taken() -> None:
    ahead, scale = Ahead(), torch.ones(3, requires_grad=True)
    for i in range(2):
        drawn = ready(ahead, WORDS, i).fold("a").uniform(3)
        drawn.mul_(scale).sum().backward()


def test_memory_is_bounded_and_let_go() -> None:
    """A large draw is made in its step, its word ahead; a block is as long as there is room; notes hold no tensor."""
    ahead, words = Ahead(), Key.root(0).fold(torch.arange(5000)).word
    for i in range(2):
        key = ready(ahead, words, i)
        big = key.fold("noise").uniform(LARGEST)
        assert torch.equal(big, Key(words[i]).fold("noise").uniform(LARGEST))
        key.fold("small").uniform(LARGEST // 8)
    drawn = ahead.step(words, 1)
    assert set(drawn.values) == {(("noise",), "word", ()), (("small",), "uniform", (LARGEST // 8,))}
    bytes_ = sum(v.untyped_storage().nbytes() for v in drawn.values.values())
    assert BLOCK // 2 < bytes_ <= BLOCK
    alive = weakref.ref(drawn)
    old = [weakref.ref(v) for v in drawn.values.values()]
    del drawn, key
    ahead.step(words, 4999)
    gc.collect()
    assert alive() is None
    assert [ref() for ref in old] == [None, None]


def test_a_step_lets_go_of_its_noise() -> None:
    """Layers do not hold on to the draws of the last step."""
    settings = config("regularizer=[dropout,stochastic_depth]", "model.depth=8", "batch_size=4", "track=[]")
    plan, state = begun(settings, imitation(settings["data"]))
    stepped(plan, state, 3)
    assert [layer.given for layer in plan.learner.noisy.values()] == [None] * len(plan.learner.noisy)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        ("aug=[mixup,cutmix,ricap,cutout]",),
        ("aug=mixup_or_cutmix", "regularizer=[manifold_mixup,shake_drop]"),
        ("regularizer=[dropout,stochastic_depth,r_drop]",),
        ("aug=batch_augmentation", "regularizer=[cotrain,dropout]"),
    ],
    ids="+".join,
)
def test_whole_steps_are_the_same(options: tuple[str, ...], seeds: int) -> None:
    """The same loss with draws looked up and with draws made, for layers that draw and for seeds fused as well."""
    settings = config("track=[]", "model.depth=8", "batch_size=4", *options)
    data = imitation(settings["data"], 16)
    plan, state = prepare(settings, parts(settings), data, CPU, list(range(seeds)), None)
    call, feed = forward(plan.learner, state.weights), Feed(plan, 0, Ahead())
    for i in range(4):
        found, made = call(*feed.batch(i), feed.drawn(i)), call(*feed.batch(i))
        assert torch.equal(found.loss, made.loss)
        assert torch.equal(found.hits, made.hits)


def test_sites_are_names_or_whole_numbers() -> None:
    for fold in (Key.root(0).fold, ready(Ahead(), WORDS, 0).fold):
        with pytest.raises(TypeError, match="not by 1"):
            fold(1.5)  # type: ignore[arg-type]
