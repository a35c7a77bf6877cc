"""Your own arrays: what is accepted, and each refusal with its way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablation.build import build
from ablation.data.arrays import arrays
from ablation.errors import ConfigError, DataError

Arrays = dict[str, Any]
Save = Callable[[Arrays], str]


def test_a_good_file(good: Arrays, saved: Save) -> None:
    data = arrays(saved({**good, "classes": np.array(["ant", "bee", "cow"])}), view="none")
    assert data.name == "own"
    assert data.classes == ("ant", "bee", "cow")
    assert torch.equal(data.train.x, torch.from_numpy(good["x_train"]))
    assert torch.equal(data.test.y, torch.from_numpy(good["y_test"]))
    pixels = good["x_train"].reshape(-1, 3) / 255
    np.testing.assert_allclose(data.mean.numpy(), pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(data.std.numpy(), pixels.std(0), rtol=1e-6)
    assert data.val is None
    assert data.about["encoding"] == "6x5x3 uint8"
    assert data.about["train"] == "30 of 30"


def test_greys_get_a_channel_and_a_constant_channel_no_division_by_zero(good: Arrays, saved: Save) -> None:
    black = {**good, "x_train": np.zeros((30, 6, 5), np.uint8), "x_test": np.zeros((12, 6, 5), np.uint8)}
    data = arrays(saved(black))
    assert data.train.x.shape == (30, 6, 5, 1)
    assert data.classes == ("0", "1", "2")
    assert (data.mean.tolist(), data.std.tolist()) == ([0.0], [1.0])


def test_the_norm_does_not_depend_on_the_subset(good: Arrays, saved: Save) -> None:
    whole, part = arrays(saved(good)), arrays(saved(good), subset=9, val=3)
    assert torch.equal(whole.mean, part.mean)
    assert (len(part.train), part.about["val"]) == (6, "3 stratified of train")


def test_the_fingerprint_is_of_the_chosen_images(good: Arrays, saved: Save) -> None:
    def pixels(more: Arrays, **chosen: Any) -> str:
        return arrays(saved({**good, **more}), **chosen).about["pixels"]

    one, label = good["x_test"].copy(), good["y_train"].copy()
    one[3, 2, 1, 0] ^= 1
    label[0] = 1
    same = [pixels({}), pixels({}, subset="first:30"), pixels({}, view="none", split_seed=4)]
    others = [pixels({"x_test": one}), pixels({"y_train": label}), pixels({}, subset=15), pixels({}, test_subset=6)]
    others += [pixels({}, subset=15, split_seed=1), pixels({}, subset="first:15"), pixels({}, val=3)]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 1 + len(others)
    assert len(same[0]) == 16
    assert int(same[0], 16) >= 0


def _float(good: Arrays) -> Arrays:
    return {"x_train": good["x_train"].astype(np.float32)}


def _nan(good: Arrays) -> Arrays:
    x = good["x_test"] / 255
    x[0, 0, 0, 0] = np.nan
    return {"x_test": x}


_BAD: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "unit floats": (lambda g: {"x_train": g["x_train"] / 255}, r"x_train: is float64 in \[0, 1\].*\(x \* 255\)"),
    "other floats": (_float, r"x_train: is float32 from 0 to 255.*uint8"),
    "normalised": (
        lambda g: {"x_train": g["x_train"] / 255 - 0.5},
        "x_train: is float64 from -.*undo any normalisation",
    ),
    "nan": (_nan, "x_test: has values that are NaN"),
    "int images": (lambda g: {"x_train": g["x_train"].astype(int)}, r"x_train: is int64.*astype\(np.uint8\)"),
    "objects": (lambda g: {"x_train": g["x_train"].astype(object)}, "Object arrays.*pickles, which may run code"),
    "channels first": (
        lambda g: {"x_train": g["x_train"].transpose(0, 3, 1, 2)},
        r"x_train: has shape \(30, 3, 6, 5\), channels first.*transpose",
    ),
    "flat images": (lambda g: {"x_train": g["x_train"].reshape(30, -1)}, r"x_train: has shape \(30, 90\), not"),
    "no images": (lambda g: {"x_test": g["x_test"][:0]}, "x_test: is empty"),
    "unlike sizes": (lambda g: {"x_test": g["x_test"][:, :4]}, r"x_train has images \(6, 5, 3\), x_test \(4, 5, 3\)"),
    "float labels": (lambda g: {"y_train": g["y_train"] * 1.0}, r"y_train: is float64.*astype\(np.int64\)"),
    "bool labels": (lambda g: {"y_train": g["y_train"] > 0}, "y_train: is bool"),
    "one-hot labels": (
        lambda g: {"y_train": np.eye(3, dtype=int)[g["y_train"]]},
        r"y_train: has shape \(30, 3\) for 30",
    ),
    "too few labels": (lambda g: {"y_test": g["y_test"][:-1]}, r"y_test: has shape \(11,\) for 12 images"),
    "negative labels": (lambda g: {"y_train": g["y_train"] - 1}, "y_train: has the label -1"),
    "unknown label": (lambda g: {"y_test": g["y_test"] + 1}, "y_test has the label 3, but the classes are 0 to 2"),
    "labels from 1": (
        lambda g: {"y_train": g["y_train"] + 1, "y_test": g["y_test"] + 1},
        "class 0 .* no training image",
    ),
    "a gap": (lambda g: {"y_train": g["y_train"] * 2}, "class 1 .* no training image"),
    "an unused class": (lambda g: {"classes": np.array(list("abcd"))}, r"class 3 \(d\) has no training image"),
    "too few classes": (lambda g: {"classes": np.array(["a", "b"])}, "the classes are 0 to 1"),
    "numbered classes": (lambda g: {"classes": np.arange(3)}, "classes is int64"),
}


@pytest.mark.parametrize("case", _BAD)
def test_refusals(case: str, good: Arrays, saved: Save) -> None:
    change, message = _BAD[case]
    path = saved({**good, **change(good)})
    with pytest.raises(DataError, match=message) as caught:
        arrays(path)
    assert "own.npz" in str(caught.value)


def test_a_missing_array_and_what_there_is(good: Arrays, saved: Save) -> None:
    path = saved({("X_train" if key == "x_train" else key): value for key, value in good.items()})
    with pytest.raises(DataError, match="has no x_train; it has X_train"):
        arrays(path)


def test_files_that_are_not_npz(tmp_path: Path, good: Arrays, saved: Save) -> None:
    with pytest.raises(DataError, match=r"no such file.*x_train, y_train, x_test, y_test"):
        arrays(str(tmp_path / "none.npz"))
    path = Path(saved(good))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        arrays(str(path))
    path.write_bytes(b"hello, this is no archive")
    with pytest.raises(DataError, match=r"own\.npz: .*numpy\.savez"):
        arrays(str(path))
    np.savez_compressed(path, **good)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        arrays(str(path))
    np.save(tmp_path / "one.npy", good["x_train"])
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        arrays(str(tmp_path / "one.npy"))


@pytest.mark.parametrize("chosen", [{"val": 30}, {"val": 0.001}, {"subset": 31}, {"test_subset": 13}])
def test_amounts_that_do_not_fit_name_their_key(chosen: Arrays, good: Arrays, saved: Save) -> None:
    (name,) = chosen
    node = {"_target_": "ablation.data.arrays.arrays", "path": saved(good), **chosen}
    with pytest.raises(ConfigError, match=rf"^data\.{name}: "):
        build(node, "data")


def test_imagenet_s_constants_are_for_rgb(good: Arrays, saved: Save) -> None:
    assert arrays(saved(good), norm="imagenet").mean[0] == pytest.approx(0.485)
    grey = {**good, "x_train": good["x_train"][..., 0], "x_test": good["x_test"][..., 0]}
    with pytest.raises(ValueError, match=r"^norm: .*norm=pixel"):
        arrays(saved(grey), norm="imagenet")
