"""An augmentation of a user's own is called before anything is trained; what it does wrong is said in one screen."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import refusal, used, x_of

from ablation.key import Key
from ablation.trial.parts import parts
from ablation.types import Aug, Batch


def counting() -> Aug:
    calls = []

    def aug(batch: Batch, key: Key) -> Batch:
        calls.append(1)
        return batch._replace(x=batch.x / len(calls))

    return aug


def clock(batch: Batch, key: Key) -> Batch:
    return batch._replace(x=batch.x * (0.5 + 0.5 * (time.perf_counter_ns() % 1000) / 1000))


def other_images(batch: Batch, key: Key) -> Batch:
    order = key.permutation(len(batch.x))
    return batch._replace(x=batch.x[order])


def other_partners(batch: Batch, key: Key) -> Batch:
    one, other = (key.fold(name).permutation(len(batch.x)) for name in ("x", "y"))
    return batch._replace(x=0.6 * batch.x[one] + 0.4 * batch.x, y=0.6 * batch.y[other] + 0.4 * batch.y)


BAD_AUGS: dict[str, tuple[Any, str]] = {
    "tensor": (lambda batch, key: batch.x, "returned a Tensor, not a Batch"),
    "none": (lambda batch, key: None, "returned None, not a Batch"),
    "tuple": (lambda batch, key: tuple(batch), "returned a tuple, not a Batch"),
    "half": (x_of(lambda x: x[: len(x) // 2]), "returned 4 images for 8"),
    "height": (x_of(lambda x: x[:, :, ::2]), "returned images of another size"),
    "float64": (x_of(lambda x: x.double()), "returned x as float64, not float32"),
    "float16": (x_of(lambda x: x.half()), "returned x as float16, not float32"),
    "grad": (x_of(lambda x: x.clone().requires_grad_()), "returned x requiring a gradient"),
    "nan": (x_of(lambda x: x * float("nan")), "returned x with numbers that are not finite"),
    "range": (x_of(lambda x: x - 0.5), "returned images that leave [0, 1]"),
    "meta": (x_of(lambda x: x.to("meta")), "returned x on meta, given on cpu"),
    "in place": (x_of(lambda x: x.mul_(0.5)), "changes its input batch.x in place"),
    "hard": (lambda batch, key: batch._replace(y=batch.y.argmax(1)), "returned y as int64, not float32"),
    "rows": (lambda batch, key: batch._replace(y=batch.y * 2), "returned targets that are no distribution"),
    "one row": (lambda batch, key: batch._replace(y=batch.y[:1]), "returned targets that are not one row an image"),
    "progress": (lambda batch, key: batch._replace(t=batch.t + 1), "changed batch.t"),
    "mean": (lambda batch, key: batch._replace(mean=batch.mean * 2), "changed batch.mean"),
    "one argument": (lambda x: x, "takes other arguments than it is given"),
    "no function": (3, "is an int, which cannot be called"),
    "raises": (x_of(lambda x: x @ x[:3]), "raised RuntimeError"),
    "exits": (x_of(lambda x: sys.exit(3)), "raised SystemExit"),
    "numpy": (x_of(lambda x: x * float(np.random.rand())), "it draws from numpy's global generator"),
    "random": (x_of(lambda x: x.flip(-1) if random.random() < 0.5 else x), "it draws from Python's `random`"),
    "torch": (x_of(lambda x: (x + torch.randn_like(x)).clamp(0, 1)), "it draws from torch's global generator"),
    "counter": (counting(), "gives two answers for one key"),
    "clock": (clock, "gives two answers for one key"),
    "order": (other_images, "returned targets of other images"),
    "partners": (other_partners, "returned targets of other images"),
}


@pytest.mark.parametrize(("aug", "said"), BAD_AUGS.values(), ids=BAD_AUGS)
def test_a_bad_augmentation_is_refused_by_its_key(aug: Any, said: str) -> None:
    told = refusal("aug", aug)
    assert told.startswith("aug.mine: "), told
    assert said in told.splitlines()[0], told
    assert "ablation/types.py" in told
    assert "Aug = (Batch, Key) -> Batch" in told


def test_it_is_said_what_was_returned_and_what_should_have_been() -> None:
    lines = refusal("aug", lambda batch, key: batch.x).splitlines()
    given = "Batch(x (8, 3, 32, 32) float32 in [0, 1], y (8, 10) float32 in [0, 1], t () float32, mean (3,) float32)"
    assert lines[1] == f"  given     {given}"
    assert lines[2] == "  returned  Tensor (8, 3, 32, 32) float32 in [0, 1]"
    assert lines[3] == "  wanted    Batch(x (8, 3, 32, 32) float32 in [0, 1], y (8, 10) float32, t, mean)"


def test_a_generator_is_named_before_what_it_spoils() -> None:
    told = refusal("aug", x_of(lambda x: x + torch.from_numpy(np.random.randn(*x.shape)).float()))
    assert "it draws from numpy's global generator" in told.splitlines()[0]
    assert "also      returned images that leave [0, 1]" in told


def label_noise(p: float) -> Aug:
    """Labels drawn anew on purpose are no mistake."""

    def aug(batch: Batch, key: Key) -> Batch:
        k = batch.y.shape[1]
        drawn = torch.eye(k, device=batch.y.device)[key.fold("label").integers(k, len(batch.y))]
        return batch._replace(y=torch.where(key.fold("whether").bernoulli(p, len(batch.y))[:, None], drawn, batch.y))

    return aug


def paste(share: float, seed: int) -> Aug:
    def aug(batch: Batch, key: Key) -> Batch:
        key = key.fold(seed)
        other, rows = key.permutation(len(batch.x)), round(share * batch.x.shape[2])
        x = torch.cat([batch.x[other][:, :, :rows], batch.x[:, :, rows:]], 2)
        lam = rows / batch.x.shape[2]
        return batch._replace(x=x, y=lam * batch.y[other] + (1 - lam) * batch.y)

    return aug


@settings(max_examples=20)
@given(
    which=st.sampled_from(["mixup", "cutmix", "label noise", "brighten", "flip", "smooth", "twice"]),
    strength=st.floats(0.0, 1.0, width=32),
    seed=st.integers(0, 1000),
)
def test_good_tricks_of_every_strength_pass(which: str, strength: float, seed: int) -> None:
    def mixup(batch: Batch, key: Key) -> Batch:
        other = key.fold(seed).permutation(len(batch.x))
        return batch._replace(
            x=torch.lerp(batch.x, batch.x[other], strength), y=torch.lerp(batch.y, batch.y[other], strength)
        )

    def flip(batch: Batch, key: Key) -> Batch:
        flipped = key.fold(seed).bernoulli(strength, len(batch.x))[:, None, None, None]
        return batch._replace(x=torch.where(flipped, batch.x.flip(3), batch.x).contiguous())

    def smooth(batch: Batch, key: Key) -> Batch:
        return batch._replace(y=torch.lerp(batch.y, torch.full_like(batch.y, 1 / batch.y.shape[1]), strength))

    good: dict[str, Aug] = {
        "mixup": mixup, "cutmix": paste(strength, seed), "label noise": label_noise(strength),
        "brighten": x_of(lambda x: (x + strength).clamp(0, 1)), "flip": flip, "smooth": smooth,
        "twice": lambda batch, key: batch._replace(x=torch.cat([batch.x] * 2), y=torch.cat([batch.y] * 2)),
    }  # fmt: skip
    assert parts({**used("aug", good[which]), "fuse": True}).notes == ()


def test_a_host_read_is_a_note_and_refused_where_seeds_are_fused() -> None:
    def reads(batch: Batch, key: Key) -> Batch:
        return batch._replace(x=batch.x * (0.5 if key.uniform(1).item() < 2 else 1.0))

    (note,) = parts(used("aug", reads)).notes
    assert note.startswith("aug.mine reads a tensor's value on the host")
    assert "fuse=true refuses it" in note
    assert "or fuse=false" in refusal("aug", reads, fuse=True)


def test_generators_are_left_as_they_were() -> None:
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index, union-attr]
    refusal("aug", BAD_AUGS["numpy"][0])
    parts(used("aug", x_of(lambda x: x / 2)))
    assert (before[0], before[1]) == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index, union-attr]
    assert torch.equal(before[2], torch.get_rng_state())
