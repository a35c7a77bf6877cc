"""Files in which something is wrong: the line in the message, typed, puts it right; or nobody else can know."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablation.data.arrays import arrays
from ablation.errors import DataError

Arrays = dict[str, Any]
Save = Callable[[Arrays], str]


def _nan(x: Any) -> Any:
    x = x / 255
    x[4, 0, 0, 0] = np.nan
    return x


def _typed(said: str) -> str:
    """Types the line of a message; returns the path that it is said to write."""
    told, _, line = said.partition("\npython ")
    words = shlex.split(line)
    assert words[0] == "-c", said
    exec(words[1], {})
    return told.rpartition("data.path=")[2].removesuffix(":")


X, Y = ("x_train", "x_test"), ("y_train", "y_test")


def _each(keys: tuple[str, ...], change: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    return lambda good: {**good, **{key: change(good[key]) for key in keys}}


def _named(good: Arrays, *names: str) -> Arrays:
    return dict(zip(names, good.values(), strict=True))


def _exact(good: Arrays) -> Arrays:
    return good


CHANGED = dict[str, tuple[Callable[[Arrays], Arrays], str, Callable[[Arrays], Arrays], tuple[str, ...]]]
NAMES = ("0", "1", "2")
# What is done to a good file, what is said of it, and what the line in the message makes of it.
REPAIRED: CHANGED = {
    "floats to 1": (
        _each(X, lambda x: (x / 255).astype("f4")),
        r"x_train and x_test: are float32 from 0 to 1",
        _exact,
        NAMES,
    ),
    "floats to 255": (_each(X, lambda x: x.astype("f4")), "are float32 from 0 to 255", _exact, NAMES),
    "floats to 219": (
        _each(X, lambda x: x.clip(0, 219) * 1.0),
        "are float64 from 0 to 219",
        _each(X, lambda x: x.clip(0, 219)),
        NAMES,
    ),
    "-1 to 1": (_each(X, lambda x: x / 127.5 - 1), "from -1 to 1, not uint8; as numbers from -1 to 1", _exact, NAMES),
    "integers": (_each(X, lambda x: x.astype(int)), "are int64 from 0 to 255", _exact, NAMES),
    "-0.98 to 0.9": (
        _each(X, lambda x: np.clip(x, 2, 242) / 127.5 - 1),
        "as numbers from -1 to 1",
        _each(X, lambda x: x.clip(2, 242)),
        NAMES,
    ),
    "one part of bytes": (_each(("x_test",), lambda x: x * 1.0), "x_test: is float64 from 0 to 255", _exact, NAMES),
    "truth values and bytes of 1": (
        lambda g: {**g, "x_train": (g["x_train"] > 99).astype("u1"), "x_test": g["x_test"] > 99},
        "x_test: is bool, not uint8",
        _each(X, lambda x: (x > 99) * 255),
        NAMES,
    ),
    "16 bits": (_each(X, lambda x: x.astype("u2") * 257), "of its 16 bits the upper eight", _exact, NAMES),
    "12 bits": (_each(X, lambda x: x.astype("u2") * 16), "of its 12 bits the upper eight", _exact, NAMES),
    "truth values": (_each(X, lambda x: x > 99), "are bool, not uint8", _each(X, lambda x: (x > 99) * 255), NAMES),
    "channels first": (
        _each(X, lambda x: x.transpose(0, 3, 1, 2)),
        r"x_train: has shape \(30, 3, 6, 5\), channels first",
        _exact,
        NAMES,
    ),
    "floats and channels first": (
        _each(X, lambda x: x.transpose(0, 3, 1, 2) / 255),
        "channels first; .* float64",
        _exact,
        NAMES,
    ),
    "images last": (
        _each(X, lambda x: np.moveaxis(x, 0, -1)),
        r"x_train: has shape \(6, 5, 3, 30\), the images last",
        _exact,
        NAMES,
    ),
    "flat greys": (
        _each(X, lambda x: np.pad(x[..., 0], ((0, 0), (0, 0), (0, 1))).reshape(len(x), -1)),
        "greys of 6x6",
        _each(X, lambda x: np.pad(x[..., 0], ((0, 0), (0, 0), (0, 1)))[..., None]),
        NAMES,
    ),
    "one-hot": (
        _each(Y, lambda y: np.eye(3)[y]),
        r"y_train: has shape \(30, 3\) for 30 images: one-hot",
        _exact,
        NAMES,
    ),
    "soft": (_each(Y, lambda y: np.eye(3)[y] * 0.7 + 0.1), "shares of classes", _exact, NAMES),
    "a column": (_each(Y, lambda y: y[:, None]), "one column", _exact, NAMES),
    "floats as labels": (_each(Y, lambda y: y * 1.0), "y_train: is float64, not whole numbers", _exact, NAMES),
    "a column of floats": (_each(Y, lambda y: y[:, None] * 1.0), "one column; .*not whole numbers", _exact, NAMES),
    "text": (
        _each(Y, lambda y: np.array(["ant", "bee", "cow"])[y]),
        "are text, not numbers",
        _exact,
        ("ant", "bee", "cow"),
    ),
    "bytes": (
        _each(Y, lambda y: np.array([b"ant", b"bee", b"cow"])[y]),
        "bytes; .*text",
        _exact,
        ("ant", "bee", "cow"),
    ),
    "from 1": (_each(Y, lambda y: y + 1), "the labels are 1, 2, 3, not numbered from 0", _exact, ("1", "2", "3")),
    "gaps": (_each(Y, lambda y: y * 2), "the labels are 0, 2, 4, .*: class 1 has no image", _exact, ("0", "2", "4")),
    "from 1, with names": (
        lambda g: {**g, "y_train": g["y_train"] + 1, "y_test": g["y_test"] + 1, "classes": np.array(["a", "b", "c"])},
        "the labels are 1, 2, 3",
        _exact,
        ("a", "b", "c"),
    ),
    "two labels with a sign": (
        _each(Y, lambda y: np.where(y == 0, -1, 1)),
        "the labels are -1, 1",
        _each(Y, lambda y: np.minimum(y, 1)),
        ("-1", "1"),
    ),
    "a name too many": (
        lambda g: {**g, "classes": np.array(["a", "b", "c", "d"])},
        r"classes: d of 4 has no training image",
        _exact,
        ("a", "b", "c"),
    ),
    "numbers as names": (lambda g: {**g, "classes": np.arange(3)}, "classes: is int64, not text", _exact, NAMES),
    "objects as names": (
        lambda g: {**g, "classes": np.array(["a", "b", "c"], dtype=object)},
        "may run code.* if you made the file yourself",
        _exact,
        ("a", "b", "c"),
    ),
    "objects as labels": (_each(Y, lambda y: y.astype(object)), "may run code", _exact, NAMES),
    "exchanged": (
        lambda g: _named(g, "y_train", "x_train", "y_test", "x_test"),
        "x_train and y_train and x_test .* exchanged",
        _exact,
        NAMES,
    ),
    "labels exchanged": (
        lambda g: {**g, "y_train": g["y_test"], "y_test": g["y_train"]},
        "y_train and y_test: are exchanged",
        _exact,
        NAMES,
    ),
    "other names": (
        lambda g: _named(g, "X_train", "Y_train", "X_test", "Y_test"),
        "has no x_train; it has X_train",
        _exact,
        NAMES,
    ),
    "no names": (lambda g: _named(g, "arr_0", "arr_1", "arr_2", "arr_3"), "arr_0 and arr_1 to train on", _exact, NAMES),
    "Keras's names": (
        lambda g: _named(g, "train_images", "train_labels", "test_images", "test_labels"),
        "test_images",
        _exact,
        NAMES,
    ),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_the_line_in_the_message_puts_it_right(case: str, good: Arrays, saved: Save) -> None:
    change, said, right, classes = REPAIRED[case]
    path, wanted = saved(change(good)), right(good)
    before = Path(path).read_bytes()
    with pytest.raises(DataError, match=said) as caught:
        arrays(path)
    data = arrays(_typed(str(caught.value)))
    assert Path(path).read_bytes() == before, "the file itself is left alone"
    assert data.classes == classes
    for part, found in (("train", data.train), ("test", data.test)):
        assert np.array_equal(found.x.numpy(), wanted[f"x_{part}"]), part
        assert np.array_equal(found.y.numpy(), wanted[f"y_{part}"]), part


@pytest.mark.parametrize(
    ("planes", "said"), [(True, "three planes of 16x16"), (False, "16x16 pixels of three channels")]
)
def test_flat_colours_are_read_as_they_are_smoother(planes: bool, said: str, saved: Save) -> None:
    row, column = np.mgrid[:16, :16]
    smooth = np.stack([8 * row, 250 - 7 * column, 90 + row - column], -1).astype(np.uint8)
    x = np.stack([smooth, smooth[::-1], smooth[:, ::-1], smooth // 2] * 3)
    flat = (x.transpose(0, 3, 1, 2) if planes else x).reshape(12, -1)
    with pytest.raises(DataError, match=said) as caught:
        arrays(saved({"x_train": flat, "y_train": np.arange(12) % 4, "x_test": flat[:4], "y_test": np.arange(4)}))
    assert np.array_equal(arrays(_typed(str(caught.value))).train.x.numpy(), x)


@pytest.mark.parametrize("names", [("images", "labels"), ("x_train", "y_train")])
def test_a_fifth_can_be_the_test(names: tuple[str, str], good: Arrays, saved: Save) -> None:
    with pytest.raises(DataError, match=r"a fifth of .* drawn at random, to test") as caught:
        arrays(saved(dict(zip(names, (good["x_train"], good["y_train"]), strict=True))))
    data = arrays(_typed(str(caught.value)))
    assert (len(data.train), len(data.test)) == (24, 6)
    kept = {image.numpy().tobytes() for image in (*data.train.x, *data.test.x)}
    assert kept == {image.tobytes() for image in good["x_train"]}


def test_the_line_is_a_shell_s(good: Arrays, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s $HOME "x".npz'
    np.savez(odd, **{**good, "x_train": good["x_train"] * 1.0})
    with pytest.raises(DataError) as caught:
        arrays(str(odd))
    line = str(caught.value).partition("\n")[2].replace("python", shlex.quote(sys.executable), 1)
    subprocess.run(line, shell=True, check=True)
    assert np.array_equal(arrays(str(odd.with_name(f"{odd.stem}-repaired.npz"))).train.x.numpy(), good["x_train"])


def test_npy_files_side_by_side(good: Arrays, tmp_path: Path) -> None:
    for key, array in good.items():
        np.save(tmp_path / f"{key}.npy", array)
    for path in (tmp_path, tmp_path / "x_train.npy"):
        with pytest.raises(DataError, match=r"(folder of \.npy files|one array of shape .* beside it)") as caught:
            arrays(str(path))
        assert np.array_equal(arrays(_typed(str(caught.value))).train.x.numpy(), good["x_train"])


# Nobody but who made the file can know what is right.
REFUSED: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "text as images": (lambda g: {"x_train": np.array(["a.png"] * 30)}, "x_train: is <U5, which is no kind of pixel"),
    "odd shape": (lambda g: {"x_train": g["x_train"].reshape(30, -1)[:, :89]}, r"x_train: has shape \(30, 89\), not"),
    "all NaN": (lambda g: {"x_test": g["x_test"] * np.nan}, "x_test: 12 of 12 images have .*; repair them"),
    "a NaN": (lambda g: {"x_train": _nan(g["x_train"])}, "x_train: 1 of 30 images .* NaN .* number 4; repair .* leave"),
    "test floats to 1": (
        lambda g: {"x_train": g["x_train"] * 1.0, "x_test": g["x_test"] / 255},
        "x_train: is float64 from 0 to 255; x_test: is float64 from 0 to 1: these are not on one scale",
    ),
    "test of floats to 1": (
        lambda g: {"x_test": g["x_test"] / 255},
        "x_train: is uint8 from 0 to 255; x_test: is float64 from 0 to 1: these are not on one scale",
    ),
    "test bytes to 15": (
        lambda g: {"x_test": g["x_test"] // 17},
        "x_train: is uint8 from 0 to 255; x_test: is uint8 from 0 to 15: these are hardly on one scale; save both",
    ),
    "one name for two classes": (
        lambda g: {"classes": np.array(["a", "b", "b"])},
        "classes: 1 and 2 are both called b; give each class a name of its own",
    ),
    "test bytes to 1": (
        lambda g: {"x_test": g["x_test"] // 128},
        "x_train: is uint8 from 0 to 255; x_test: is uint8 from 0 to 1: these are not on one scale",
    ),
    "train bytes to 1": (lambda g: {"x_train": g["x_train"] // 128}, "x_train: is uint8 from 0 to 1; .*one scale"),
    "test signed": (
        lambda g: {"x_train": g["x_train"] / 255, "x_test": g["x_test"] / 127.5 - 1},
        "float64 from 0 to 1; x_test: is float64 from -1 to 1: these are not on one scale",
    ),
    "below 0": (_each(X, lambda x: (x / 255 - 0.001).clip(-0.001, 1)), "from -0.001 to 0.999; .* do not tell which"),
    "below 0 in one part": (
        lambda g: {"x_train": g["x_train"] / 255 * 1.001 - 0.001, "x_test": g["x_test"] / 255},
        "from -0.001 to 1; x_test: is float64 from 0 to 1: these are not on one scale",
    ),
    "above 1": (_each(X, lambda x: x / 255 * 1.001), "from 0 to 1.001; .* do not tell which"),
    "centred": (_each(X, lambda x: x / 255 - 0.5), "from -0.5 to 0.5; .* do not tell which"),
    "to 16": (_each(X, lambda x: (x // 16) * 1.0), "from 0 to 15; .* do not tell which"),
    "normalised": (_each(X, lambda x: (x - 120.0) / 60), "do not tell .* uint8 .* std normalised them, undo that"),
    "negative integers": (_each(X, lambda x: x.astype("i2") - 100), "from -100 to 155; .* do not tell which"),
    "12 and 16 bits": (
        lambda g: {"x_train": g["x_train"].astype("u2") * 257, "x_test": g["x_test"].astype("u2") * 16},
        "from 0 to 65535; x_test: is uint16 from 0 to 4080: .*may not be on one scale",
    ),
    "8 and 16 bits": (lambda g: {"x_train": g["x_train"].astype("u2") * 257}, "65535; x_test: is uint8 .*one scale"),
    "without a label": (
        lambda g: {"y_train": np.where(np.arange(30) == 7, -1, g["y_train"])},
        "y_train: 1 of 30 images have the label -1, which usually means that there is none; give them labels, or leave",
    ),
    "strange in the test": (
        lambda g: {"y_test": np.where(np.arange(12) == 7, 9, g["y_test"])},
        "y_test: 1 of 12 images .*no training image has, such as '9'; y_train has 0, 1, 2, y_test 0, 1, 2, 9; correct",
    ),
    "train from 1": (
        lambda g: {"y_train": g["y_train"] + 1},
        "such as '0'; y_train has 1, 2, 3, y_test 0, 1, 2: they may be numbered from 0 in one part",
    ),
    "test from 1": (
        lambda g: {"y_test": g["y_test"] + 1},
        "such as '3'; y_train has 0, 1, 2, y_test 1, 2, 3: they may be numbered from 0 in one part",
    ),
    "capitals": (
        lambda g: {
            "y_train": np.array(["ant", "bee", "cow"])[g["y_train"]],
            "y_test": np.array(["ant", "Bee", "cow"])[g["y_test"]],
        },
        "4 of 12 images .* such as 'Bee', where y_train has 'bee'; y_train has ant, bee, cow, y_test .*; write the",
    ),
    "spaces": (
        lambda g: {
            "y_train": np.array(["ant", "bee", "cow"])[g["y_train"]],
            "y_test": np.array(["ant", "bee ", "cow"])[g["y_test"]],
        },
        "such as 'bee ', where y_train has 'bee'",
    ),
    "one class in two ways": (
        _each(Y, lambda y: np.array(["ant", "bee", "Bee"])[y]),
        "y_train: has both 'Bee' and 'bee'; write one class in one way",
    ),
    "columns of other classes": (
        lambda g: {"y_train": np.eye(3)[g["y_train"]], "y_test": np.eye(4)[g["y_test"]]},
        r"y_train has shape \(30, 3\), y_test \(12, 4\); columns stand for classes",
    ),
    "no images": (lambda g: {"x_test": g["x_test"][:0]}, "x_test: is empty"),
    "unlike sizes": (lambda g: {"x_test": g["x_test"][:, :4]}, r"\(6, 5, 3\), x_test \(4, 5, 3\); .*data=folder"),
    "too few labels": (lambda g: {"y_test": g["y_test"][:-1]}, r"y_test: has shape \(11,\) for 12 images"),
    "fractions": (lambda g: {"y_train": g["y_train"] + 0.5}, "y_train: is float64 with fractions such as 0.5"),
    "labels of NaN": (lambda g: {"y_train": g["y_train"] * np.nan}, "y_train: has labels that are NaN"),
    "dates": (lambda g: {"y_train": g["y_train"].astype("M8[D]")}, r"y_train: is datetime64\[D\], which is no kind"),
    "one number": (lambda g: {"y_train": np.array(3)}, "y_train: is a single number"),
    "text and numbers": (lambda g: {"y_train": g["y_train"].astype(str)}, "y_train is <U.*, y_test int64"),
    "only strangers": (
        lambda g: {"y_test": g["y_test"] + 9},
        "12 of 12 images have a label that no training image has",
    ),
    "too few names": (lambda g: {"classes": np.array(["a", "b"])}, "classes: has 2 names for labels from 0 to 2"),
    "a table of names": (lambda g: {"classes": np.array([["a", "b", "c"]])}, r"classes: has shape \(1, 3\)"),
    "one class": (lambda g: {"y_train": g["y_train"] * 0, "y_test": g["y_test"] * 0}, "one label only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, good: Arrays, saved: Save) -> None:
    change, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        arrays(saved({**good, **change(good)}))
    assert "own.npz" in str(caught.value)
    assert "python -c" not in str(caught.value)


def test_unclear_names_are_not_guessed(good: Arrays, saved: Save) -> None:
    path = saved({**_named(good, "a", "b", "c", "d"), "e": good["y_train"]})
    with pytest.raises(DataError, match=r"has no x_train; it has a, b, c, d, e; name the arrays: np\.savez"):
        arrays(path)
