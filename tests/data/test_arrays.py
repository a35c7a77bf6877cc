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


def test_what_is_odd_is_said(good: Arrays, saved: Save) -> None:
    assert arrays(saved(good)).notes == ()
    twin = {**good, "x_test": good["x_test"].copy(), "y_test": np.zeros(12, int)}
    twin["x_test"][5] = good["x_train"][20]
    assert arrays(saved(twin)).notes == (
        "1 of 12 test images are training images too, pixel for pixel: x_test[5] is x_train[20]",
        "2 of 3 classes have no test image: the accuracy says nothing of them: 1, 2",
    )
    for white in (1, 15):
        dark = {k: good[k] // (256 // (white + 1)) for k in ("x_train", "x_test")}
        (said,) = arrays(saved({**good, **dark})).notes
        assert f"no pixel is above {white}, so that the images are nearly black" in said
    few = arrays(saved(good), subset=6, val=3).notes
    assert few[-1].startswith(
        "3 of 3 classes have a single image to train on (data.subset and data.val took the others)"
    )


def test_files_that_are_not_npz(tmp_path: Path, good: Arrays, saved: Save) -> None:
    with pytest.raises(DataError, match=r"no such file.*x_train, y_train, x_test, y_test"):
        arrays(str(tmp_path / "none.npz"))
    path = Path(saved(good))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        arrays(str(path))
    path.write_bytes(b"hello, this is no archive")
    with pytest.raises(DataError, match=r"own\.npz: .*no file of numpy's.*np\.savez"):
        arrays(str(path))
    np.savez_compressed(path, **good)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        arrays(str(path))
    np.save(tmp_path / "one.npy", good["x_train"])
    with pytest.raises(DataError, match=r"is one array of shape .* four are needed in one \.npz file: np\.savez"):
        arrays(str(tmp_path / "one.npy"))
    with pytest.raises(DataError, match=r"is a folder; data\.path=.*own\.npz is one in it; .* use data=folder"):
        arrays(str(tmp_path))
    with pytest.raises(DataError, match=r"ows\.npz: no such file; did you mean own\.npz\?"):
        arrays(str(tmp_path / "ows.npz"))


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
