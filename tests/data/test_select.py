"""Subsets and validation sets: exact totals, class proportions within one image, nothing twice, the same every time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ablation.data import _select
from ablation.data.check import Amount
from ablation.key import Key

_labels = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(lambda y: torch.tensor(y, dtype=torch.int64))
_seeds = st.integers(0, 2**40)


def _fair(y: Tensor, index: Tensor) -> bool:
    sizes, taken = torch.bincount(y, minlength=7), torch.bincount(y[index], minlength=7)
    return bool(((taken - sizes * len(index) / len(y)).abs() < 1).all())


@given(_labels, st.data(), _seeds)
def test_stratified(y: Tensor, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(0, len(y)))
    index = _select.stratified(y, count, Key.root(seed))
    assert len(index) == count
    assert index.dtype == torch.int64
    assert (index.diff() > 0).all()
    assert _fair(y, index)
    assert torch.equal(index, _select.stratified(y, count, Key.root(seed)))


@given(_labels, st.data(), _seeds)
def test_hold_out_is_a_partition(y: Tensor, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, len(y)))
    if count == len(y):
        with pytest.raises(ValueError, match=r"^val: .*hold out fewer"):
            _select.hold_out(y, Amount("val", count, False), Key.root(seed))
        return
    rest, held = _select.hold_out(y, Amount("val", count, False), Key.root(seed))
    assert held is not None
    assert len(held) == count
    assert torch.equal(torch.cat([rest, held]).sort().values, torch.arange(len(y)))
    assert _fair(y, held)
    assert _fair(y, rest)


@given(_labels, st.floats(0.0, 1.0, exclude_min=True))
def test_a_share_is_the_nearest_count_or_refused(y: Tensor, share: float) -> None:
    asked = Amount("subset", share, False)
    if round(share * len(y)) == 0:
        with pytest.raises(ValueError, match=r"^subset: "):
            _select.subset(y, asked, Key.root(0))
    else:
        assert abs(len(_select.subset(y, asked, Key.root(0))) - share * len(y)) <= 0.5


@given(_labels, st.data())
def test_first_is_file_order(y: Tensor, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(y)))
    assert torch.equal(_select.subset(y, Amount("subset", count, True), Key.root(0)), torch.arange(count))


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^test_subset: 11 asks for 11 of 10 images"):
        _select.subset(torch.zeros(10, dtype=torch.int64), Amount("test_subset", 11, False), Key.root(0))


def test_every_image_is_as_likely_as_any_other_of_its_class() -> None:
    y = torch.tensor([0] * 10 + [1] * 30)
    hits = torch.zeros(40)
    for seed in range(2000):
        hits[_select.stratified(y, 20, Key.root(seed))] += 1
    assert (hits / 2000 - 0.5).abs().max() < 5 * (0.25 / 2000) ** 0.5
