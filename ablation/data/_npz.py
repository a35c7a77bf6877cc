"""Reading an .npz file: what is none, what holds other arrays, and how the four that are needed come from it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ablation.build import near
from ablation.data import _images, _labels
from ablation.data._cache import Array
from ablation.data._repair import Arrays, Check, Fault, refusal, repaired
from ablation.errors import DataError

KEYS = ("x_train", "y_train", "x_test", "y_test")
_OPTIONAL = "classes"
_TEMPLATE = "np.savez('X.npz', x_train=..., y_train=..., x_test=..., y_test=...)"
_BROKEN = (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


def present(path: Path) -> Path:
    """The path, if a file is there.

    Raises:
        DataError: there is none; with what may have been meant.
    """
    if not path.is_file():
        raise DataError(_missing(path))
    return path


def read(path: Path) -> Arrays:
    """The four arrays, and `classes` if there are any, as they are wanted.

    Raises:
        DataError: something is wrong; with the command that writes a file in which it is right, if there is one.
    """
    try:
        loaded = _loaded(present(path))
    except _BROKEN as e:
        if "Object arrays" not in str(e) or not zipfile.is_zipfile(path):
            why = "no file of numpy's" if "pickle" in str(e) else e  # numpy would have it loaded as one
            raise DataError(f"{path}: not a whole .npz file of plain arrays ({why}); write it with {_TEMPLATE}") from e
        line = "f = {k: np.array(v.tolist()) if v.dtype == object else v for k, v in f.items()}"
        said = f"has arrays of objects, which are pickles and may run code ({e}); if you made the file yourself"
        raise refusal(path, [Fault(said, line)], "dict(np.load({}, allow_pickle=True))") from e
    right, faults = repaired(loaded, _checks())
    if faults:
        raise refusal(path, faults)
    return right


def _checks() -> Iterator[Check]:
    yield from (_named, _exchanged)
    for kind in (_images, _labels):
        yield from kind.shapes()
    for kind in (_images, _labels):
        yield from kind.values()


def _loaded(path: Path) -> Arrays:
    with path.open("rb") as raw:
        found = np.load(raw, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise DataError(_single(path, found))
        with found as file:
            return {key: file[key] for key in (KEYS if {*KEYS} <= {*file.files} else file.files)} | (
                {_OPTIONAL: file[_OPTIONAL]} if _OPTIONAL in file.files else {}
            )


def _missing(path: Path) -> str:
    wanted = f"data.path=X.npz needs the arrays {', '.join(KEYS)}"
    if not path.is_dir():
        beside = [file.name for file in path.parent.glob("*.npz")] if path.parent.is_dir() else []
        return f"{path}: no such file; {f'{near(path.name, beside)} ' if beside else ''}{wanted}"
    if all((path / f"{key}.npy").is_file() for key in KEYS):
        line = f"f = {{k: np.load({str(path / '{}.npy')!r}.format(k)) for k in {KEYS}}}"
        return str(refusal(path, [Fault("is a folder of .npy files", line)], "{{}}"))
    files = sorted(file.name for file in path.glob("*.npz"))
    inside = f"data.path={path / files[0]} is one in it; " if files else ""
    return f"{path}: is a folder; {inside}for a tree of image files use data=folder data.path={path}; {wanted}"


def _single(path: Path, found: Array) -> str:
    beside = [path.with_name(f"{key}.npy") for key in KEYS]
    said = f"is one array of shape {found.shape}, and four are needed in one .npz file"
    if all(file.is_file() for file in beside):
        line = f"f = {{k: np.load({str(path.with_name('{}.npy'))!r}.format(k)) for k in {KEYS}}}"
        return str(refusal(path, [Fault(f"{said}; they lie beside it", line)], "{{}}"))
    return f"{path}: {said}: {_TEMPLATE}"


def _named(f: Arrays) -> Fault | None:
    """The four arrays are there; else by the lengths and names of those that are."""
    missing = [key for key in KEYS if key not in f]
    if not missing:
        return None
    said = f"has no {missing[0]}; it has {', '.join(f) or 'nothing'}"
    pairs = _pairs({key: array for key, array in f.items() if key != _OPTIONAL})
    keep = ", classes=f['classes']" if _OPTIONAL in f else ""
    if len(pairs) == 2:
        (a, b), (c, d) = pairs
        line = f"f = dict(x_train=f[{a!r}], y_train=f[{b!r}], x_test=f[{c!r}], y_test=f[{d!r}]{keep})"
        return Fault(f"{said}; {a} and {b} to train on, {c} and {d} to test", line)
    if len(pairs) == 1 and len(f[pairs[0][1]]) >= 10:
        a, b = pairs[0]
        draw = f"o = np.random.default_rng(0).permutation(len(f[{b!r}])); t = len(o) // 5"
        line = (
            f"{draw}; f = dict(x_train=f[{a!r}][o[t:]], y_train=f[{b!r}][o[t:]], x_test=f[{a!r}][o[:t]], "
            f"y_test=f[{b!r}][o[:t]]{keep})"
        )
        return Fault(f"{said}; a fifth of {a} and {b}, drawn at random, to test", line)
    return Fault(f"{said}; name the arrays: {_TEMPLATE}")


def _pairs(f: Arrays) -> list[tuple[str, str]]:
    """Images with their labels, to train on first; none if it is not clear."""
    images = [key for key, array in f.items() if array.ndim >= 3 or (array.ndim == 2 and array.shape[1] > 99)]
    labels = [key for key, array in f.items() if key not in images and array.ndim]
    pairs = [(x, y) for x in images for y in labels if len(f[x]) == len(f[y]) and _part(x) == _part(y)]
    pairs = pairs or [(x, y) for x in images for y in labels if len(f[x]) == len(f[y])]
    if len(images) != len(pairs) or len({y for _, y in pairs}) != len(pairs) or len(pairs) != len(labels):
        return []
    return sorted(pairs, key=lambda pair: (_part(pair[0]), -len(f[pair[0]])))


def _part(name: str) -> bool:
    """Whether it is called a test part."""
    return any(word in name.lower() for word in ("test", "val"))


def _exchanged(f: Arrays) -> Fault | None:
    """Images and labels under each other's names."""
    wrong = [part for part in ("train", "test") if f[f"x_{part}"].ndim < 2 and f[f"y_{part}"].ndim > 2]
    if not wrong:
        return None
    said = " and ".join(f"x_{part} and y_{part}" for part in wrong)
    line = "; ".join(f"f['x_{part}'], f['y_{part}'] = f['y_{part}'], f['x_{part}']" for part in wrong)
    return Fault(f"{said}: are exchanged", line)
