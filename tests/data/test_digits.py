"""The embedded digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ablation.data import digits as module
from ablation.data.digits import digits


def test_digits() -> None:
    data = digits()
    assert data.train.x.shape == (1437, 32, 32, 3)
    assert data.test.x.shape == (360, 32, 32, 3)
    assert data.train.x.dtype == torch.uint8
    assert data.train.x.is_contiguous()
    assert torch.bincount(data.test.y).sub(36).abs().max() <= 1
    assert data.about["view"] == "pad_crop, pad 4"


def test_the_pictures_are_scikit_learn_s() -> None:
    data = digits()
    x, y = torch.cat([data.train.x, data.test.x]), torch.cat([data.train.y, data.test.y])
    small = x[..., 0].reshape(-1, 8, 4, 8, 4).double().mean((2, 4)).numpy()  # bilinear: about the old pixel on average
    images, labels = load_digits(return_X_y=True)
    wanted = images.reshape(-1, 8, 8) * 255 / 16
    assert sorted(y.tolist()) == sorted(labels.tolist())
    nearest = ((small[:20, None] - wanted[None]) ** 2).sum((2, 3)).argmin(1)
    assert np.array_equal(labels[nearest], y[:20].numpy())
    assert torch.equal(x[..., 0], x[..., 2])


@pytest.mark.parametrize("file", [module._FILE, "where/a/later/version/has/it"])
def test_they_are_read_with_and_without_scikit_learn(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(module, "_FILE", file)
    for ours, theirs in zip(module._stored(), load_digits(return_X_y=True), strict=True):
        assert np.array_equal(ours, theirs)


def test_the_test_set_stays_where_it_is() -> None:
    first, second = digits(split_seed=0, val=0.1), digits(split_seed=1, val=0.1)
    assert torch.equal(first.test.x, second.test.x)
    assert first.val is not None
    assert second.val is not None
    assert not torch.equal(first.val.x, second.val.x)


def test_these_images_are_these_for_good() -> None:
    """A change here changes every number measured on the digits."""
    assert digits().about["pixels"] == "a411e276f36a8a73"
