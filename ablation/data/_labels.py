"""Are these arrays labels, and the names of classes? Each check says what was found and how to put it right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ablation.data._cache import Array
from ablation.data._repair import Arrays, Check, Fault

YS = ("y_train", "y_test")
# Labels 0 to K-1 in the order of what they were, which becomes the names of the classes.
_NUMBERED = (
    "n = np.unique(np.concatenate([f['y_train'], f['y_test']])); "
    "f.update(y_train=np.searchsorted(n, f['y_train']), y_test=np.searchsorted(n, f['y_test']), classes={})"
)


def shapes() -> Iterator[Check]:
    """In order, after those of the images: each relies on those before."""
    yield _exchanged
    for key in YS:
        yield from (partial(check, key=key) for check in (_column, _one_each))


def values() -> Iterator[Check]:
    """In order, once there is a label for every image."""
    for key in YS:
        yield from (partial(check, key=key) for check in (_kind, _unlabelled))
    yield from (_known, _names, _numbered, _several)


def _exchanged(f: Arrays) -> Fault | None:
    ours, theirs = len(f["y_train"]), len(f["y_test"])
    if ours != theirs and (ours, theirs) == (len(f["x_test"]), len(f["x_train"])):
        line = "f['y_train'], f['y_test'] = f['y_test'], f['y_train']"
        return Fault("y_train and y_test: are exchanged, as their numbers say", line)
    return None


def _column(f: Arrays, key: str) -> Fault | None:
    y = f[key]
    if y.ndim != 2:
        return None
    if y.shape[1] == 1:
        return Fault(f"{key}: has shape {y.shape}, one column", f"f['{key}'] = f['{key}'][:, 0]")
    said = f"{key}: has shape {y.shape} for {len(f[key.replace('y', 'x')])} images"
    if y.dtype.kind not in "biuf":
        return Fault(f"{said}; it needs one label each")
    other = f["y_test" if key == "y_train" else "y_train"]
    if other.ndim == 2 and other.shape[1] not in (1, y.shape[1]):
        shapes = f"y_train has shape {f['y_train'].shape}, y_test {f['y_test'].shape}"
        return Fault(f"{shapes}; columns stand for classes, so both need the same ones")
    hot = ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()
    what = "one-hot" if hot else "shares of classes, of which the largest can be the label"
    return Fault(f"{said}: {what}", f"f['{key}'] = f['{key}'].argmax(1)")


def _one_each(f: Arrays, key: str) -> Fault | None:
    y, count = f[key], len(f[key.replace("y", "x")])
    if y.shape == (count,):
        return None
    return Fault(f"{key}: has shape {y.shape} for {count} images; it needs one label each, shape ({count},)")


def _kind(f: Arrays, key: str) -> Fault | None:
    y = f[key]
    if y.dtype.kind in "iuU":
        return None
    if y.dtype.kind == "S":
        return Fault(f"{key}: is {y.dtype}, bytes", f"f['{key}'] = f['{key}'].astype(str)")
    if y.dtype.kind not in "bf":
        return Fault(f"{key}: is {y.dtype}, which is no kind of label")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return Fault(f"{key}: has labels that are NaN or infinite; leave those images out")
    if y.dtype.kind == "f" and (y != y.round()).any():
        return Fault(
            f"{key}: is {y.dtype} with fractions such as {y[y != y.round()][0]:g}; it needs whole numbers from 0"
        )
    return Fault(f"{key}: is {y.dtype}, not whole numbers", f"f['{key}'] = f['{key}'].astype(np.int64)")


def _unlabelled(f: Arrays, key: str) -> Fault | None:
    """-1 beside 0, 1, ..., which usually marks images without a label."""
    y = f[key]
    if y.dtype.kind not in "i" or y.min() != -1 or not (y == 0).any():
        return None
    said = f"{key}: {(y == -1).sum()} of {len(y)} images have the label -1, which usually means that there is none"
    return Fault(f"{said}; give them labels, or leave them out")


def _known(f: Arrays) -> Fault | None:
    """Every test image is of a class that is trained on."""
    if (f["y_train"].dtype.kind == "U") != (f["y_test"].dtype.kind == "U"):
        return Fault(f"y_train is {f['y_train'].dtype}, y_test {f['y_test'].dtype}; make them alike")
    strange = ~np.isin(f["y_test"], f["y_train"])
    if not strange.any():
        return None
    label = str(f["y_test"][strange][0])
    said = (
        f"y_test: {strange.sum()} of {len(strange)} images have a label that no training image has, such as {label!r}"
    )
    ours, theirs = (np.unique(f[key]) for key in YS)
    parts = f"y_train has {_listed(ours)}, y_test {_listed(theirs)}"
    alike = [str(name) for name in ours if _plain(name) == _plain(label)]
    if alike:
        return Fault(f"{said}, where y_train has {alike[0]!r}; {parts}; write the labels alike")
    if ours.dtype.kind != "U" and len(ours) == len(theirs) and abs(int(ours[0]) - int(theirs[0])) == 1:
        return Fault(f"{said}; {parts}: they may be numbered from 0 in one part and from 1 in the other; correct them")
    return Fault(f"{said}; {parts}; correct the labels, or leave those images out")


def _plain(label: object) -> str:
    """Without what is easily written in two ways: capitals and spaces."""
    return "".join(str(label).split()).casefold()


def _names(f: Arrays) -> Fault | None:
    names = f.get("classes")
    if names is None:
        return None
    if names.ndim == 1 and names.dtype.kind == "U":
        found, counts = np.unique(names, return_counts=True)
        twice = found[counts > 1]
        if not len(twice):
            return None
        labels = " and ".join(map(str, np.flatnonzero(names == twice[0])))
        said = f"classes: {labels} are both called {twice[0]}"
        return Fault(f"{said}; give each class a name of its own, or make their labels one")
    if names.ndim == 1:
        return Fault(f"classes: is {names.dtype}, not text", "f['classes'] = f['classes'].astype(str)")
    return Fault(f"classes: has shape {names.shape}; save np.array([name of label 0, ...])")


def _numbered(f: Arrays) -> Fault | None:
    """The labels are 0 to K-1, and each has a training image."""
    y, names = f["y_train"], f.get("classes")
    if y.dtype.kind == "U":
        first: dict[str, str] = {}
        for name in map(str, np.unique(y)):
            if first.setdefault(_plain(name), name) != name:
                return Fault(f"y_train: has both {first[_plain(name)]!r} and {name!r}; write one class in one way")
        return Fault("y_train and y_test: are text, not numbers", _NUMBERED.format("n.astype(str)"))
    found = np.unique(y)
    count = len(found) if names is None else len(names)
    if count == len(found) and (found == np.arange(count)).all():
        return None
    if names is None or len(names) == len(found):
        classes = "n.astype(str)" if names is None else "f['classes']"
        said = f"the labels are {_listed(found)}, not numbered from 0 without gaps: class {_gap(found)} has no image"
        return Fault(f"y_train: {said}", _NUMBERED.format(classes))
    if found.min() >= 0 and found.max() < count:
        lacking = [str(name) for k, name in enumerate(names) if k not in found]
        said = f"classes: {_listed(lacking)} of {count} {'have' if lacking[1:] else 'has'} no training image; without"
        return Fault(said, _NUMBERED.format("f['classes'][n]"))
    return Fault(f"classes: has {count} names for labels from {found.min()} to {found.max()}; name every label from 0")


def _gap(found: NDArray[np.int64]) -> int:
    return next(k for k in range(len(found) + 1) if k not in found)


def _listed(values: NDArray[np.int64] | list[str]) -> str:
    few = [str(value) for value in values[:4]]
    return ", ".join(few) + (f", ... {values[-1]}" if len(values) > 4 else "")


def _several(f: Arrays) -> Fault | None:
    if len(np.unique(f["y_train"])) > 1:
        return None
    return Fault("y_train: has one label only, so there is nothing to tell apart; add images of other classes")


def labels(y: Array) -> NDArray[np.int64]:
    """Checked labels as int64 (n,)."""
    return np.ascontiguousarray(y, np.int64)


def classes(f: Arrays) -> tuple[str, ...]:
    """The names of the classes: those found, else the numbers."""
    found = f.get("classes")
    return tuple(str(name) for name in (np.unique(f["y_train"]) if found is None else found))
