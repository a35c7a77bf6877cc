"""What every augmentation of this folder must do."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation.aug.auto_augment import auto_augment
from ablation.aug.color_jitter import color_jitter
from ablation.aug.cutmix import cutmix
from ablation.aug.cutout import cutout
from ablation.aug.gaussian_blur import gaussian_blur
from ablation.aug.gaussian_noise import gaussian_noise
from ablation.aug.mixup import mixup
from ablation.aug.mixup_or_cutmix import mixup_or_cutmix
from ablation.aug.rand_augment import rand_augment
from ablation.aug.random_erasing import random_erasing
from ablation.aug.ricap import ricap
from ablation.aug.trivial_augment import trivial_augment
from ablation.key import Key
from ablation.types import Aug, Batch

Make = Callable[..., Batch]
AUGS: dict[str, Aug] = {
    "auto augment": auto_augment(fill="mean"),
    "color jitter": color_jitter(hue=0.2),
    "cutout": cutout(),
    "cutout of four": cutout(7, holes=4),
    "cutmix": cutmix(p=1.0),
    "cutmix per sample": cutmix(0.3, per="sample"),
    "gaussian blur": gaussian_blur(),
    "gaussian noise": gaussian_noise(),
    "mixup": mixup(),
    "mixup or cutmix": mixup_or_cutmix(per="sample"),
    "mixup per sample": mixup(0.2, per="sample", larger=True),
    "rand augment": rand_augment(),
    "random erasing": random_erasing(),
    "random erasing, mean": random_erasing(fill="mean"),
    "random erasing, black": random_erasing(fill="black"),
    "ricap": ricap(),
    "ricap per sample": ricap(1.0, per="sample"),
    "trivial augment": trivial_augment(),
}
each = pytest.mark.parametrize("aug", AUGS.values(), ids=AUGS.keys())


@each
def test_changes_something_and_is_a_function_of_the_key(aug: Aug, make: Make) -> None:
    batch = make()
    before = batch.x.clone()
    one, same, other = (aug(batch, Key.root(seed)) for seed in (1, 1, 2))
    assert torch.equal(batch.x, before), "the batch given is not written to"
    assert not torch.equal(one.x, batch.x)
    assert torch.equal(one.x, same.x)
    assert torch.equal(one.y, same.y)
    assert not torch.equal(one.x, other.x)


@each
def test_keeps_shape_format_and_range(aug: Aug, make: Make) -> None:
    for c, h, w in ((3, 32, 32), (1, 8, 8), (3, 24, 17)):
        batch = make(c=c, h=h, w=w)
        out = aug(batch, Key.root(0))
        assert out.x.shape == batch.x.shape
        assert out.x.dtype == torch.float32
        assert out.x.is_contiguous(memory_format=torch.channels_last)
        assert out.x.min() >= 0
        assert out.x.max() <= 1
        torch.testing.assert_close(out.y.sum(1), torch.ones(64))
        plain = aug(batch._replace(x=batch.x.contiguous()), Key.root(0))
        assert torch.equal(plain.x, out.x), "the memory format changes no draw"


@each
def test_lanes_are_single_seeds(aug: Aug, make: Make) -> None:
    batches, keys = [make(seed=i) for i in range(3)], [Key.root(i) for i in range(3)]
    stacked = [torch.stack(parts) for parts in zip(*batches, strict=True)]
    words = torch.stack([k.word for k in keys])
    out = torch.vmap(lambda x, y, t, mean, word: aug(Batch(x, y, t, mean), Key(word)))(*stacked, words)
    for i in range(3):
        single = aug(batches[i], keys[i])
        assert torch.equal(out.x[i], single.x)
        assert torch.equal(out.y[i], single.y)


@each
def test_compiled_is_eager(aug: Aug, make: Make) -> None:
    batch, key = make(n=8, h=8, w=8), Key.root(4)
    compiled = torch.compile(lambda x, y, word: aug(batch._replace(x=x, y=y), Key(word)), backend="aot_eager")
    out = compiled(batch.x, batch.y, key.word)
    expected = aug(batch, key)
    torch.testing.assert_close(out.x, expected.x)
    torch.testing.assert_close(out.y, expected.y)


@each
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), n=st.integers(1, 5), h=st.integers(2, 9), w=st.integers(2, 9))
def test_any_size_of_batch_and_image(aug: Aug, seed: int, n: int, h: int, w: int) -> None:
    g = torch.Generator().manual_seed(seed % 997)
    y = torch.rand(n, 4, generator=g)
    batch = Batch(torch.rand(n, 2, h, w, generator=g), y / y.sum(1, keepdim=True), torch.tensor(0.0), torch.ones(2) / 2)
    out = aug(batch, Key.root(seed))
    assert ((out.x >= 0) & (out.x <= 1)).all()
    torch.testing.assert_close(out.y.sum(1), torch.ones(n))
