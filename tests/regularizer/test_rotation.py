"""The rotation head against images turned by torchvision and a loss written out image by image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as V

from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.rotation import Rotation, rotation, turned
from ablation.types import Batch, Model, Pass, Penalty

N, KEY = 6, Key.root(3)


def net() -> Model:
    torch.manual_seed(0)
    return resnet_cifar(10, 3, 8, depth=8).eval()  # so that a row's features are its own


def batch(seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(N, 3, 8, 8, generator=g), torch.eye(10)[:N], torch.tensor(0.0), torch.zeros(3))


def double(x: Tensor) -> Tensor:
    return 2 * x - 1


def given(model: Model, augmented: Batch) -> Pass:
    def again(images: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        features = model.features(images)
        return features, model.head(features)

    images = double(augmented.x)
    features, logits = again(images, KEY)
    return Pass(features, logits, augmented, batch(2), images, model, again, double, KEY)


def attached(made: Any, model: Model) -> Rotation:
    penalty = made[1] if isinstance(made, tuple) else made
    assert isinstance(penalty, Penalty)
    term = penalty.attach(model)
    assert isinstance(term, Rotation)
    return term


def turns(x: Tensor) -> list[Tensor]:
    """An image turned by 0, 1, 2 and 3 quarters."""
    return [V.rotate(x, 90.0 * k) for k in range(4)]


def written_out(term: Rotation, model: Model, pairs: list[tuple[Tensor, int]]) -> Tensor:
    each = [-term.head(model.features(x[None]))[0].log_softmax(0)[k] for x, k in pairs]
    return 0.5 * torch.stack(each).mean()


@pytest.mark.parametrize("images", ["augmented", "clean"])
def test_all_four_of_each_image(images: str) -> None:
    model, seen = net(), batch(1)
    term = attached(rotation(images=images), model)
    x = double(seen.x if images == "augmented" else batch(2).x)
    expected = written_out(term, model, [(t, k) for image in x for k, t in enumerate(turns(image))])
    torch.testing.assert_close(term(given(model, seen)), expected)


def quarters_of(images: Tensor, originals: Tensor) -> list[int]:
    """By how many quarters each image was turned; none of these is symmetric."""
    found = [[k for k, t in enumerate(turns(o)) if torch.equal(t, x)] for x, o in zip(images, originals, strict=True)]
    assert all(len(ks) == 1 for ks in found)
    return [ks[0] for ks in found]


@pytest.mark.parametrize("images", ["augmented", "clean"])
def test_one_drawn_for_each_image(images: str) -> None:
    model, seen = net(), batch(1)
    term = attached(rotation(copies="one", images=images), model)
    asked: list[Tensor] = []
    made = given(model, seen)
    made = made._replace(again=lambda x, key: (asked.append(x), (model.features(x), x))[1])
    loss = term(made)
    x = double(seen.x if images == "augmented" else batch(2).x)
    quarters = quarters_of(asked[0], x)
    assert len(set(quarters)) > 1
    torch.testing.assert_close(loss, written_out(term, model, list(zip(asked[0], quarters, strict=True))))


@pytest.mark.parametrize("copies", ["one", "all"])
def test_labels_may_be_learnt_on_rotated_images_in_the_same_pass(copies: str) -> None:
    model, seen = net(), batch(1)
    made = rotation(copies=copies, classes="rotated")
    assert isinstance(made, tuple)
    out = made[0](seen, KEY)
    times = len(out.x) // N
    assert times == (4 if copies == "all" else 1)
    assert torch.equal(out.y, seen.y.repeat(times, 1))
    quarters = quarters_of(out.x, seen.x.repeat(times, 1, 1, 1))
    term = attached(made, model)
    expected = written_out(term, model, list(zip(double(out.x), quarters, strict=True)))
    torch.testing.assert_close(term(given(model, out)), expected)


def test_quarters_are_uniform_and_lanes_have_their_own() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2).expand(8000, 1, 2, 2)
    aug, _ = rotation(copies="one", classes="rotated")  # type: ignore[misc]
    made = Batch(x, torch.ones(8000, 1), torch.tensor(0.0), torch.zeros(1))
    corner = aug(made, KEY).x[:, 0, 0, 0]
    counts = torch.stack([(corner == value).sum() for value in range(4)])
    assert (counts - 2000).abs().max() < 4 * (8000 * 0.25 * 0.75) ** 0.5
    words = torch.stack([Key.root(seed).word for seed in (3, 4)])
    lanes = torch.vmap(lambda word: turned(x[:9], Key(word).fold("quarters").integers(4, 9)))(words)
    assert torch.equal(lanes[0], turned(x[:9], KEY.fold("quarters").integers(4, 9)))
    assert not torch.equal(lanes[0], lanes[1])


def test_weight_0_is_no_head_and_no_pass() -> None:
    penalty = rotation(0.0)
    assert isinstance(penalty, Penalty)
    term = penalty.attach(net())
    assert not isinstance(term, Rotation)
    assert term(given(net(), batch(1))).item() == 0


def test_head_is_trained_and_its_loss_is_float32_in_half_precision() -> None:
    model = net()
    term = attached(rotation(), model)
    with torch.autocast("cpu", torch.bfloat16):
        loss = term(given(model, batch(1)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert all(p.grad is not None and p.grad.any() for p in (*term.head.parameters(), *model.blocks.parameters()))  # type: ignore[operator,union-attr]
    assert all(p.grad is None for p in model.head.parameters()), "the classes' head is not its own"


@pytest.mark.parametrize("made", [rotation(), rotation(copies="one", images="clean")])
def test_refuses_images_that_are_not_square(made: Penalty) -> None:
    model = net()
    seen = given(model, batch(1))
    wide = seen._replace(images=torch.zeros(N, 3, 8, 12), clean=batch(1)._replace(x=torch.zeros(N, 3, 8, 12)))
    with pytest.raises(ValueError, match=r"^rotation needs square images, these are 8 x 12"):
        attached(made, model)(wide)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1.0}, "weight: -1.0 is not"),
        ({"copies": "two"}, "copies: there is no 'two'; valid: all, one"),
        ({"images": "mixed"}, "images: there is no 'mixed'"),
        ({"classes": "right"}, "classes: there is no 'right'"),
        ({"classes": "rotated", "images": "clean"}, "images: with classes=rotated there is one pass"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        rotation(**arguments)
