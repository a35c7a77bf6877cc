"""Views and augmentations: images in, images out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ablation.contract.sample import key
from ablation.contract.shown import a, dtype, shown, tensor
from ablation.contract.subject import ROUNDING, Subject, distribution
from ablation.key import Key
from ablation.types import Aug, Batch, View

AUG = "Aug = (Batch, Key) -> Batch; batch._replace(x=...) keeps the rest"
VIEW = "View = (uint8 (N, H, W, C), Key) -> uint8 (N, H', W', C)"
_PIXELS = 1000  # of an image, from which on two images of noise are told apart by their correlation
_SHOWS, _LACKS = 0.3, 0.1  # correlations from which on an image is in another, and below which it is not


def check_view(subject: Subject, view: View, given: Tensor) -> None:
    """Try a view on images (N, H, W, C).

    Raises:
        ConfigError: it breaks its contract.
    """
    subject.takes(view, "x", "key")

    def call(i: int) -> Tensor:
        x = given.clone()
        out = subject.call(view, x, key(i))
        subject.unchanged("x", x, given)
        fine = isinstance(out, Tensor) and out.dtype == torch.uint8 and out.dim() == 4
        if not fine or (len(out), out.shape[3]) != (len(x), x.shape[3]) or 0 in out.shape:
            wanted = f"uint8 ({len(x)}, H', W', {x.shape[3]})"
            raise subject.breach("returned other than as many images", returned=shown(out), wanted=wanted)
        assert isinstance(out, Tensor)
        return out

    subject.twice(call)


def check_aug(subject: Subject, aug: Aug, batch: Batch, moments: Sequence[tuple[Key, float]]) -> list[Batch]:
    """Try an augmentation with some keys, each at some progress of the training; what it makes of the batch.

    Raises:
        ConfigError: it breaks its contract.
    """
    subject.takes(aug, "batch", "key")

    def call(i: int) -> Batch:
        its, t = moments[i]
        given = _copied(batch._replace(t=torch.tensor(t)))
        kept = _copied(given)
        out = subject.call(aug, given, its)
        for name in Batch._fields:
            subject.unchanged(f"batch.{name}", getattr(given, name), getattr(kept, name))
        _check_batch(subject, out, kept)
        assert isinstance(out, Batch)
        return out

    return subject.twice(call, len(moments))


def _copied(batch: Batch) -> Batch:
    return Batch(*(tensor.clone() for tensor in batch))


def _check_batch(subject: Subject, out: Any, given: Batch) -> None:
    n, c, h, w = given.x.shape
    k = given.y.shape[1]
    told = {"given": shown(given), "returned": shown(out)}
    wanted = f"Batch(x ({n}, {c}, {h}, {w}) float32 in [0, 1], y ({n}, {k}) float32, t, mean)"
    if not isinstance(out, Batch):
        raise subject.breach(f"returned {a(out)}, not a Batch", **told, wanted=wanted)
    for name, value in zip(Batch._fields, out, strict=True):
        if not isinstance(value, Tensor):
            raise subject.breach(f"returned {a(value)} as batch.{name}, not a tensor", **told, wanted=wanted)
        if value.dtype != torch.float32:
            soft = ": targets are always soft, one row an image" if name == "y" else ""
            raise subject.breach(f"returned {name} as {dtype(value)}, not float32", **told, wanted=wanted + soft)
        if value.device != given.x.device:
            raise subject.breach(f"returned {name} on {value.device}, given on {given.x.device}", **told, wanted=wanted)
        if value.requires_grad:
            raise subject.breach(f"returned {name} requiring a gradient", **told, wanted=f"{name}.detach()")
    if out.x.dim() != 4 or out.x.shape[1:] != given.x.shape[1:]:
        raise subject.breach("returned images of another size", **told, wanted=wanted)
    if len(out.x) % n or not len(out.x):
        more = f"{wanted}, or a multiple of {n} rows: all of copy 0, all of copy 1, ..."
        raise subject.breach(f"returned {len(out.x)} images for {n}", **told, wanted=more)
    if out.y.shape != (len(out.x), k):
        raise subject.breach("returned targets that are not one row an image", **told, wanted=wanted)
    _check_numbers(subject, out, told)
    for name in ("t", "mean"):
        if not torch.equal(getattr(out, name), getattr(given, name)):
            is_now, was = tensor(getattr(out, name)), tensor(getattr(given, name))
            raise subject.breach(f"changed batch.{name}", given=was, returned=is_now, wanted=f"{name} as it was given")


def _check_numbers(subject: Subject, out: Batch, told: Mapping[str, str]) -> None:
    for name, value in (("x", out.x), ("y", out.y)):
        if not torch.isfinite(value).all():
            raise subject.breach(f"returned {name} with numbers that are not finite", **told, wanted="finite numbers")
    if out.x.min() < -ROUNDING or out.x.max() > 1 + ROUNDING:
        way = "images in [0, 1], as they are before they are normalised: x.clamp(0, 1) cuts off what leaves it"
        raise subject.breach("returned images that leave [0, 1]", **told, wanted=way)
    if not distribution(out.y):
        sums = out.y.sum(1)
        row = f"row sums from {float(sums.min()):.4g} to {float(sums.max()):.4g}, least {float(out.y.min()):.4g}"
        wanted = "targets from 0 to 1 whose rows sum to one"
        raise subject.breach(
            "returned targets that are no distribution", given=told["given"], returned=row, wanted=wanted
        )


def check_pairs(subject: Subject, given: Batch, found: list[Batch]) -> None:
    """The targets belong to the images: of most rows, those of an image that can be seen in them.

    Images of noise are seen in what is made of them by their correlation. Labels that are drawn anew on purpose are
    told from mixed up ones by the classes that the batch does not have.

    Raises:
        ConfigError: they do not.
    """
    have = given.y.sum(0) > 0
    plain = bool((given.y.amax(1) == 1).all())  # not mixed by an augmentation before
    if (
        not plain
        or given.x[0].numel() < _PIXELS
        or bool(have.all())
        or max(float(b.y[:, ~have].max()) for b in found) > ROUNDING
    ):
        return
    images = given.x.flatten(1) - 0.5
    rows = wrong = 0
    for batch in found:
        seen = (batch.x.flatten(1) - 0.5) @ images.T / images.square().sum(1)  # (rows, N)
        by_class = torch.stack([seen[:, given.y[:, k] == 1].amax(1) for k in have.nonzero()[:, 0].tolist()], 1)
        y = batch.y[:, have]
        says, shows = y > _SHOWS, by_class > _SHOWS
        rows += int(shows.any(1).sum())
        wrong += int(((shows & (y < 0.02)).any(1) & (says & (by_class.abs() < _LACKS)).any(1)).sum())
    if rows and wrong > rows / 2:
        told = f"{wrong} of {rows} rows have the target of an image that is not in them"
        wanted = "the row of y belongs to the image in the same row of x: one permutation for both"
        raise subject.breach("returned targets of other images", returned=told, wanted=wanted)


def lanes_trouble(aug: Aug, batch: Batch) -> str:
    """How it fails with seeds fused, which is under `torch.vmap`; nothing if it does not."""

    def one(x: Tensor, y: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        out = aug(batch._replace(x=x, y=y), Key(word))
        return out.x, out.y

    try:
        torch.vmap(one, randomness="different")(batch.x[None], batch.y[None], key().word[None])
    except Exception as e:
        return " ".join(str(e).split())
    return ""
