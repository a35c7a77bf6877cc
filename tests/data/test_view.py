"""The standard views against one image at a time, and under vmap and compile."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F
from torch.utils import _pytree  # noqa: F401  (imported here, so that compiling does not warn)
from torchvision.transforms import RandomResizedCrop, v2

from ablation.data.check import check
from ablation.data.view._crop import crop
from ablation.data.view.none import none
from ablation.data.view.pad_crop import pad_crop
from ablation.data.view.pad_crop_flip import pad_crop_flip
from ablation.data.view.random_resized_crop import boxes, random_resized_crop
from ablation.data.view.resize_crop import resize_crop
from ablation.data.view.resize_crop_flip import resize_crop_flip
from ablation.key import Key
from ablation.types import View

_VIEWS = {
    "none": none,
    "pad_crop": pad_crop,
    "pad_crop_flip": pad_crop_flip,
    "random_resized_crop": random_resized_crop,
    "resize_crop": resize_crop,
    "resize_crop_flip": resize_crop_flip,
}
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


@pytest.mark.parametrize(("make", "flip"), [(resize_crop_flip, True), (resize_crop, False)])
def test_resized_crops(make: Callable[[int], View], flip: bool) -> None:
    x, key = _images(), Key.root(5)
    large = F.interpolate(x.permute(0, 3, 1, 2).float(), (13, 11), mode="bilinear", align_corners=False)
    wanted = _slow(large.round().to(torch.uint8).permute(0, 2, 3, 1), key, 9, 7, flip=flip)
    assert torch.equal(make(4)(x, key), wanted)


@pytest.mark.parametrize(("h", "w"), [(24, 24), (9, 31)])
def test_random_resized_crops_are_torchvision_s_for_the_same_windows(h: int, w: int) -> None:
    x, key = _images(n=60, height=h, width=w), Key.root(4)
    out = random_resized_crop(0, flip=0.5)(x, key)
    windows = torch.stack(boxes(key, 60, h, w, (0.08, 1.0), (3 / 4, 4 / 3)), 1).tolist()
    mirrored = key.fold("flip").bernoulli(0.5, 60).tolist()
    for image, window, flip, found in zip(x, windows, mirrored, out, strict=True):
        wanted = v2.functional.resized_crop(image.permute(2, 0, 1).float(), *window, [h, w], antialias=True)
        wanted = wanted.flip(2) if flip else wanted
        assert (wanted.permute(1, 2, 0) - found).abs().max() < 0.501  # the rounding to bytes
    assert out.is_contiguous()


@pytest.mark.parametrize(
    ("h", "w", "scale", "ratio"),
    [(32, 32, (0.08, 1.0), (3 / 4, 4 / 3)), (20, 60, (0.3, 1.0), (0.5, 1.5)), (10, 60, (0.9, 1.0), (0.5, 1.5))],
)
def test_windows_have_torchvision_s_law(h: int, w: int, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """The last one never fits, and is the central window."""
    n = 3000
    ours = torch.stack(boxes(Key.root(1), n, h, w, scale, ratio), 1)
    picture = torch.zeros(1, h, w)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.tensor([RandomResizedCrop.get_params(picture, list(scale), list(ratio)) for _ in range(n)])
    for one, other in ((ours, theirs), (ours[:, :2] + ours[:, 2:], theirs[:, :2] + theirs[:, 2:])):
        for a, b in zip(one.T, other.T, strict=True):
            assert torch.equal(a, b) or stats.ks_2samp(a, b, method="asymp").pvalue > 1e-3
    assert (ours >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= h).all()
    assert (ours[:, 1] + ours[:, 3] <= w).all()


def test_the_whole_window_unmirrored_changes_nothing() -> None:
    x = _images(height=8, width=8)
    assert torch.equal(random_resized_crop(0, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)(x, Key.root(0)), x)


def test_a_view_s_arguments_nest_under_its_name() -> None:
    x, key = _images(), Key.root(3)
    chosen = check(view={"random_resized_crop": {"scale": [0.5, 0.7], "flip": 0}}, pad=0)
    assert torch.equal(chosen.view(x, key), random_resized_crop(0, scale=(0.5, 0.7), flip=0)(x, key))
    assert chosen.view_name == "random_resized_crop, scale [0.5, 0.7], flip 0, pad 0"
    for argument, value in {"scale": [0, 1], "ratio": [2, 1], "flip": 2, "size": 3}.items():
        with pytest.raises(ValueError, match=f"^view: random_resized_crop.*{argument}"):
            check(view={"random_resized_crop": {argument: value}}, pad=0)


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
    lanes = torch.vmap(lambda one, word: view(one, Key(word)))(x, torch.stack([key.word for key in keys]))
    assert torch.equal(lanes, torch.stack([view(x[lane], keys[lane]) for lane in range(4)]))


@pytest.mark.parametrize("make", [pad_crop_flip, random_resized_crop])
def test_compiled_is_the_same(make: Callable[[int], View]) -> None:
    x, view = _images(), make(4)
    compiled = torch.compile(view, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, Key.root(3)), view(x, Key.root(3)))


def test_every_file_is_a_view_that_its_name_finds() -> None:
    folder = Path(importlib.import_module("ablation.data.view").__file__ or "").parent
    names = {file.stem for file in folder.glob("[!_]*.py")}
    assert names == set(_VIEWS)
    for name in names:
        assert check(view=name, pad=2).view(_images(), Key.root(0)).shape == (40, 9, 7, 3)
