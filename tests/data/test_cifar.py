"""CIFAR: the official files, the cache in front of them, and what is said when they are missing or damaged."""

from __future__ import annotations

import shutil
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from ablation.data._norm import computed
from ablation.data.cifar10 import cifar10
from ablation.data.cifar100 import cifar100
from ablation.errors import DataError


@pytest.fixture(scope="module")
def filled(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has CIFAR-10."""
    folder = tmp_path_factory.mktemp("filled")
    cifar10(str(cifar_root), download=False, cache=str(folder))
    return folder


def test_the_images_are_torchvision_s(cifar_root: Path, filled: Path, record_property: Any) -> None:
    start = time.perf_counter()
    data = cifar10(str(cifar_root), download=False, cache=str(filled))
    record_property("cached_load_s", time.perf_counter() - start)
    assert time.perf_counter() - start < 10  # a cached load takes 0.12 s on one Zen 5 core; this is for a busy machine
    for split, train in ((data.train, True), (data.test, False)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files are pickles of 2009, and some versions of numpy say so
            official = torchvision.datasets.CIFAR10(str(cifar_root), train=train)
        assert torch.equal(split.x, torch.from_numpy(official.data))
        assert split.y.tolist() == official.targets
    assert data.classes == tuple(official.classes)


def test_the_pixel_constants_are_the_training_set_s(cifar_root: Path, filled: Path) -> None:
    data = cifar10(str(cifar_root), download=False, cache=str(filled))
    mean, std = computed(data.train.x.numpy())
    torch.testing.assert_close(torch.tensor(mean), data.mean, atol=5.1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(std), data.std, atol=5.1e-5, rtol=0)


@pytest.mark.parametrize(("norm", "std"), [("pixel", 0.2470), ("widespread", 0.2023), ("imagenet", 0.229)])
def test_norms(cifar_root: Path, filled: Path, norm: str, std: float) -> None:
    data = cifar10(str(cifar_root), download=False, cache=str(filled), norm=norm)
    assert float(data.std[0]) == pytest.approx(std)
    assert data.about["norm"] == norm


def test_the_notes_half_data_is_the_first_half(cifar_root: Path, filled: Path) -> None:
    whole = cifar10(str(cifar_root), download=False, cache=str(filled))
    half = cifar10(str(cifar_root), download=False, cache=str(filled), subset="first:0.5", test_subset="first:5000")
    assert torch.equal(half.train.x, whole.train.x[:25000])
    assert torch.equal(half.test.y, whole.test.y[:5000])
    assert (half.about["train"], half.about["test"]) == ("25000 of 50000 (first)", "5000 of 10000 (first)")


def test_subset_then_validation(cifar_root: Path, filled: Path) -> None:
    data = cifar10(str(cifar_root), download=False, cache=str(filled), subset=0.5, val=5000)
    assert data.val is not None
    assert torch.bincount(data.train.y).tolist() == [2000] * 10
    assert torch.bincount(data.val.y).tolist() == [500] * 10
    assert data.about["train"] == "20000 of 50000 (stratified, less 5000 for val)"


def test_a_missing_set_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"cifar-100-python: train is missing.*data\.download=true, or put .* data\.root=DIR"
    ):
        cifar100(str(tmp_path), download=False)


def test_no_network_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", fail)
    with pytest.raises(DataError, match=r"the download failed \(.*no network.*data\.root=DIR"):
        cifar10(str(tmp_path / "new"), download=True)


def test_damaged_files_are_named_though_the_cache_is_full(cifar_root: Path, filled: Path, tmp_path: Path) -> None:
    shutil.copytree(cifar_root, tmp_path / "root")
    file = tmp_path / "root" / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"data_batch_3 is damaged.*data\.download=true"):
        cifar10(str(tmp_path / "root"), download=False, cache=str(filled))


def test_a_damaged_cache_is_rebuilt(cifar_root: Path, filled: Path, tmp_path: Path) -> None:
    cache = tmp_path / "copy"
    shutil.copytree(filled, cache)
    before = cifar10(str(cifar_root), download=False, cache=str(cache))
    (pixels,) = cache.glob("cifar10-*/test_x.npy")
    with pixels.open("r+b") as file:
        file.seek(100_000)
        file.write(b"\x00" * 64)
    with pytest.warns(UserWarning, match="damaged .*SHA-256.*rebuilt"):
        after = cifar10(str(cifar_root), download=False, cache=str(cache))
    assert torch.equal(before.test.x, after.test.x)
    assert before.about == after.about
