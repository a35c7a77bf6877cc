"""The standard views against one image at a time, and under vmap and compile."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils import _pytree  # noqa: F401  (imported here, so that compiling does not warn)

from ablation.data.check import check
from ablation.data.view._crop import crop
from ablation.data.view.none import none
from ablation.data.view.pad_crop import pad_crop
from ablation.data.view.pad_crop_flip import pad_crop_flip
from ablation.data.view.resize_crop_flip import resize_crop_flip
from ablation.key import Key
from ablation.types import View

_VIEWS = {"none": none, "pad_crop": pad_crop, "pad_crop_flip": pad_crop_flip, "resize_crop_flip": resize_crop_flip}
views = pytest.mark.parametrize("make", _VIEWS.values(), ids=_VIEWS)


def _images(n: int = 40, height: int = 9, width: int = 7, channels: int = 3) -> Tensor:
    return torch.randint(1, 256, (n, height, width, channels), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def _slow(large: Tensor, key: Key, height: int, width: int, flip: bool) -> Tensor:
    """Crop and flip image by image, with the draws of the fast one."""
    n, h, w, _ = large.shape
    rows, columns = key.fold("row").integers(h - height + 1, n), key.fold("column").integers(w - width + 1, n)
    mirrored = key.fold("flip").bernoulli(0.5, n)
    out = []
    for i in range(n):
        top, left = int(rows[i]), int(columns[i])
        window = large[i, top : top + height, left : left + width]
        out.append(window.flip(1) if flip and bool(mirrored[i]) else window)
    return torch.stack(out)


@pytest.mark.parametrize(("make", "flip"), [(pad_crop_flip, True), (pad_crop, False)])
@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_padded_crops(make: Callable[[int], View], flip: bool, pad: int, channels: int) -> None:
    x, key = _images(channels=channels), Key.root(5)
    out = make(pad)(x, key)
    assert torch.equal(out, _slow(F.pad(x, (0, 0, pad, pad, pad, pad)), key, 9, 7, flip))
    assert out.dtype == torch.uint8
    assert out.is_contiguous()


def test_resized_crops() -> None:
    x, key = _images(), Key.root(5)
    large = F.interpolate(x.permute(0, 3, 1, 2).float(), (13, 11), mode="bilinear", align_corners=False)
    wanted = _slow(large.round().to(torch.uint8).permute(0, 2, 3, 1), key, 9, 7, flip=True)
    assert torch.equal(resize_crop_flip(4)(x, key), wanted)


def test_none_is_the_identity() -> None:
    x = _images()
    assert torch.equal(none(4)(x, Key.root(0)), x)


def test_offsets_and_flips_are_uniform_and_independent() -> None:
    n, pad = 20000, 2
    y, x = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    picture = torch.stack([y, x], -1).to(torch.uint8).expand(n, -1, -1, -1)
    out = crop(picture, Key.root(1), 6 - 2 * pad, 8 - 2 * pad, flip=True)  # a corner's value is the offset
    flipped = (out[:, 0, 0, 1] > out[:, 0, 1, 1]).long()
    row, column = out[:, 0, 0, 0].long(), out[:, 0].min(1).values[:, 1].long()
    cells = torch.bincount((row * 5 + column) * 2 + flipped, minlength=50)
    expected = n / 50
    chi2 = float(((cells - expected) ** 2 / expected).sum())
    assert len(cells) == 50
    assert chi2 < 49 + 5 * (2 * 49) ** 0.5


def test_adding_the_flip_keeps_the_windows() -> None:
    x, key = _images(), Key.root(2)
    plain, flipped = pad_crop(4)(x, key), pad_crop_flip(4)(x, key)
    same = (flipped == plain).flatten(1).all(1) | (flipped == plain.flip(2)).flatten(1).all(1)
    assert same.all()


@views
def test_vmap_is_lane_by_lane(make: Callable[[int], View]) -> None:
    view, keys = make(3), [Key.root(seed) for seed in range(4)]
    x = torch.stack([_images().roll(lane, 0) for lane in range(4)])
    lanes = torch.vmap(view)(x, Key(torch.stack([key.word for key in keys])))
    assert torch.equal(lanes, torch.stack([view(x[lane], keys[lane]) for lane in range(4)]))


def test_compiled_is_the_same() -> None:
    x, view = _images(), pad_crop_flip(4)
    compiled = torch.compile(view, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, Key.root(3)), view(x, Key.root(3)))


def test_every_file_is_a_view_that_its_name_finds() -> None:
    folder = Path(importlib.import_module("ablation.data.view").__file__ or "").parent
    names = {file.stem for file in folder.glob("[!_]*.py")}
    assert names == set(_VIEWS)
    for name in names:
        assert check(view=name, pad=2).view(_images(), Key.root(0)).shape == (40, 9, 7, 3)
