"""Manifold mixup against a network taken apart by hand, and against mixup where only images are mixed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from tiny import SMALL_MODEL, TINY, config
from torch import Tensor, nn

from ablation.aug.mixup import mixup
from ablation.build import build
from ablation.errors import ConfigError
from ablation.key import Key
from ablation.learner import Learner
from ablation.machine.precision import choose_precision
from ablation.model.resnet_cifar import ResNetCifar, resnet_cifar
from ablation.regularizer.manifold_mixup import manifold_mixup
from ablation.trial.parts import build_learner, parts
from ablation.types import Batch, Model

KEY = Key.root(1)


def learner(layers: list[float]) -> tuple[Learner, Tensor, Tensor]:
    """A tiny trial's step and its first images and labels."""
    made = config(*TINY, *SMALL_MODEL, "regularizer=manifold_mixup")
    made["regularizer"]["manifold_mixup"]["layers"] = layers
    data = build(made["data"], "data")
    found = build_learner(made, parts(made), data, choose_precision("fp32", torch.device("cpu")), Key.root(0))
    return found, data.train.x[:8], data.train.y[:8]


def drawn(key: Key, n: int, alpha: float = 2.0) -> tuple[Tensor, Tensor]:
    """lam and the partners of a step, from the key that an augmentation of that name is given."""
    return key.fold("lam").beta(alpha, alpha, 1), key.fold("partner").permutation(n)


@pytest.mark.parametrize(("share", "after"), [(0.0, 0), (1 / 3, 1), (2 / 3, 2), (1.0, 3), (0.01, 1), (0.6, 2)])
def test_a_step_is_the_network_mixed_by_hand(share: float, after: int) -> None:
    found, x, y = learner([share])
    loss, _ = found(x, y, KEY, torch.tensor(0.0))
    slopes = torch.autograd.grad(loss, list(found.parameters()))

    lam, partner = drawn(KEY.fold("manifold_mixup"), 8)
    clean, model = found.standard(x, y, KEY, torch.tensor(0.0)), found.model
    assert isinstance(model, ResNetCifar)
    plain = resnet_cifar(10, 3, 8, depth=8)
    plain.load_state_dict(model.state_dict())
    assert isinstance(plain, ResNetCifar)
    maps = plain.stem(found.normalise(clean.x if after else lam * clean.x + (1 - lam) * clean.x[partner]))
    for number, block in enumerate(plain.blocks, 1):
        maps = block(maps)
        maps = lam * maps + (1 - lam) * maps[partner] if number == after else maps
    logs = plain.head(plain.tail(maps).mean((2, 3))).log_softmax(1)
    rows = torch.arange(8)
    expected = -(lam * logs[rows, y] + (1 - lam) * logs[rows, y[partner]]).mean()
    torch.testing.assert_close(loss, expected)
    for one, other in zip(slopes, torch.autograd.grad(expected, list(plain.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def batch(n: int = 16) -> Batch:
    g = torch.Generator().manual_seed(0)
    return Batch(
        torch.rand(n, 3, 8, 8, generator=g),
        torch.rand(n, 10, generator=g).softmax(1),
        torch.tensor(0.0),
        torch.zeros(3),
    )


def test_of_the_images_alone_it_is_mixup_bit_for_bit() -> None:
    wrap, aug = manifold_mixup(0.7, [0.0])
    ours, theirs = aug(batch(), KEY), mixup(0.7)(batch(), KEY)
    assert torch.equal(ours.x, theirs.x)
    assert torch.equal(ours.y, theirs.y)
    assert not any(m._forward_hooks for m in wrap.apply(resnet_cifar(10, 3, 8, depth=8)).modules())


def mixes(model: nn.Module) -> list[Any]:
    return list(model.get_submodule("manifold_mixup").children())


def test_one_layer_a_step_and_each_as_often() -> None:
    wrap, aug = manifold_mixup()
    layers = mixes(wrap.apply(resnet_cifar(10, 3, 8, depth=20)))
    x, counts, steps = batch().x, torch.zeros(3), 90
    for step in range(steps):
        key = KEY.fold(step)
        changed = [not torch.equal(aug(batch(), key).x, x)]
        for layer in layers:
            layer.word = key.word
            changed.append(not torch.equal(layer.after(layer, (), x), x))
        assert sum(changed) == 1
        counts += torch.tensor(changed)
    assert (counts - steps / 3).abs().max() < 4 * (steps * 2 / 9) ** 0.5


def test_alpha_0_and_evaluation_change_nothing() -> None:
    wrap, aug = manifold_mixup(0.0)
    model = resnet_cifar(10, 3, 8, depth=8)
    same = wrap.apply(deepcopy(model))
    assert torch.equal(aug(batch(), KEY).x, batch().x)
    assert torch.equal(aug(batch(), KEY).y, batch().y)
    assert torch.equal(same(batch().x), deepcopy(model)(batch().x))
    mixing = manifold_mixup(2.0, [0.5])[0].apply(deepcopy(model))
    assert not torch.equal(deepcopy(mixing)(batch().x), deepcopy(model)(batch().x))
    copy = deepcopy(mixing).eval()  # while the model itself is in training, as with a student that teaches itself
    assert torch.equal(copy(batch().x), model.eval()(batch().x))
    assert torch.equal(mixing.eval()(batch().x), model(batch().x))


def test_another_pass_of_more_rows_mixes_each_part_alike() -> None:
    wrap, aug = manifold_mixup(2.0, [0.5])
    (mix,) = mixes(wrap.apply(resnet_cifar(10, 3, 8, depth=8)))
    mix.word = KEY.word
    aug(batch(), KEY)
    x = batch().x
    one = mix.after(mix, (), x)
    assert not torch.equal(one, x)
    twice = mix.after(mix, (), torch.cat([x, x]))
    assert torch.equal(twice, torch.cat([one, one]))
    with pytest.raises(ValueError, match=r"mixed the targets of 16 rows, and the model is given 17; list it after"):
        mix.after(mix, (), torch.cat([x, x[:1]]))


class Flat(Model):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)

    def features(self, x: Tensor) -> Tensor:
        return x


def test_refuses() -> None:
    for alpha in (-1.0, float("inf")):
        with pytest.raises(ValueError, match=r"^alpha: .* is not a finite number from 0 up"):
            manifold_mixup(alpha)
    for layers in ([], [1.5]):
        with pytest.raises(ValueError, match=r"^layers: .* are not shares of the depth"):
            manifold_mixup(layers=layers)
    wrap, _ = manifold_mixup()
    with pytest.raises(ValueError, match=r"^layers: this model has no residual blocks"):
        wrap.apply(Flat())
    both = resnet_cifar(10, 3, 8, depth=8)
    both.add_module("other", resnet_cifar(10, 3, 8, depth=8))
    with pytest.raises(ValueError, match=r"^layers: several models"):
        wrap.apply(both)


@pytest.mark.parametrize("beside", [[], ["regularizer=manifold_mixup"]])
def test_another_name_or_a_second_one_is_refused(beside: list[str]) -> None:
    """Targets and maps would be mixed with different partners; or the first one's layers would be lost."""
    target = "ablation.regularizer.manifold_mixup.manifold_mixup"
    with pytest.raises(
        ConfigError, match=r"^regularizer\.mm: .* draws under the name manifold_mixup|mixes its maps already"
    ):
        parts(config(*TINY, *SMALL_MODEL, *beside, f"+regularizer.mm._target_={target}"))
