"""Data sets, once they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ablation.contract.images import VIEW, check_view
from ablation.contract.sample import Shape
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject
from ablation.types import Data, Split

DATA = "Data: train, test and val are Split(x uint8 (n, H, W, C), y int64 (n,) from 0); mean, std float32 (C,)"


def check_data(node: Mapping[str, Any], data: Any) -> Shape:
    """A data set and its view; the shape of its images. Only labels are read, no images.

    Raises:
        ConfigError: it breaks its contract.
    """
    subject = Subject("data", str(node["_target_"]), DATA)
    if not isinstance(data, Data):
        raise subject.breach(f"returned {a(data)}, not a Data", returned=shown(data))
    for name in ("train", "test", "val"):
        split = getattr(data, name)
        if split is not None or name != "val":
            _check_split(subject, name, split, len(data.classes))
            if split.x.shape[1:] != data.train.x.shape[1:]:
                told = {"returned": f"train.x {tuple(data.train.x.shape)}, {name}.x {tuple(split.x.shape)}"}
                raise subject.breach("has images of several shapes", **told)
    for name in ("mean", "std"):
        subject.tensor(name, getattr(data, name), (data.train.x.shape[3],), "float32 (C,), as of images in [0, 1]")
    if not (data.std > 0).all():
        raise subject.breach("has a std that is not above 0", returned=shown(data.std))
    shape = Shape.of(data)
    check_view(Subject("data", subject.target, VIEW), data.view, shape.raw())
    return shape


def _check_split(subject: Subject, name: str, split: Any, classes: int) -> None:
    if not isinstance(split, Split):
        raise subject.breach(f"returned {a(split)} for {name}, not a Split", returned=shown(split))
    x, y = split.x, split.y
    if not isinstance(x, Tensor) or x.dtype != torch.uint8 or x.dim() != 4:
        said = f"Tensor {tuple(x.shape)} {x.dtype}" if isinstance(x, Tensor) else shown(x)  # images are not read
        raise subject.breach(f"{name}.x is no stack of images", returned=said, wanted="uint8 (n, H, W, C)")
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or tuple(y.shape) != (len(x),) or not len(y):
        raise subject.breach(f"{name}.y is not one label an image", returned=shown(y), wanted=f"int64 ({len(x)},)")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise subject.breach(f"{name}.y has the labels {low} to {high} for {classes} classes", wanted="labels from 0")
