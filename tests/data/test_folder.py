"""Image trees: decoded as documented, cached until a file changes, streamed when asked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import SMALL_MODEL, TINY, Silent, config, run
from torchvision.transforms import v2

from ablation.data import _memory
from ablation.data.folder import folder
from ablation.errors import DataError


def test_a_tree(tree: Path) -> None:
    data = folder(str(tree), size=10)
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert data.train.x.shape == (6, 10, 10, 3)
    assert data.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.y.tolist() == [0, 0, 1, 1]
    assert (data.about["test_part"], data.about["storage"]) == ("val", "in memory")
    pixels = data.train.x.reshape(-1, 3).double() / 255
    torch.testing.assert_close(data.mean, pixels.mean(0).float())
    torch.testing.assert_close(data.std, pixels.std(0, correction=0).float())


@pytest.mark.parametrize("size", [10, 14, 16, 17])
def test_decoding_is_torchvision_s_resize_and_centre_crop(tree: Path, size: int) -> None:
    data = folder(str(tree), size=size)
    transform = v2.Compose([v2.Resize(size), v2.CenterCrop(size)])
    files = sorted((tree / "train").glob("*/*.png"))
    for file, image in zip(files, data.train.x, strict=True):
        with Image.open(file) as opened:
            wanted = np.asarray(transform(opened.convert("RGB")))
        assert np.array_equal(wanted, image.numpy())


def test_test_images_are_cut_from_a_larger_resize(tree: Path) -> None:
    data, plain = folder(str(tree), size=10, test_crop=0.8), folder(str(tree), size=10)
    transform = v2.Compose([v2.Resize(12), v2.CenterCrop(10)])
    for file, image in zip(sorted((tree / "val").glob("*/*.png")), data.test.x, strict=True):
        with Image.open(file) as opened:
            assert np.array_equal(np.asarray(transform(opened.convert("RGB"))), image.numpy())
    assert torch.equal(data.train.x, plain.train.x)
    assert not torch.equal(data.test.x, plain.test.x), "another cache entry"


def test_memory_and_streaming_are_the_same_images(tree: Path) -> None:
    chosen = {"size": 10, "val": 2, "test_subset": 2}
    held, streamed = folder(str(tree), in_memory=True, **chosen), folder(str(tree), in_memory=False, **chosen)  # type: ignore[arg-type]
    assert held.val is not None
    assert streamed.val is not None
    for a, b in ((held.train, streamed.train), (held.val, streamed.val), (held.test, streamed.test)):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert held.about["pixels"] == streamed.about["pixels"]
    assert streamed.about["storage"] == "memory-mapped"


def test_auto_asks_how_much_memory_there_is(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = 10 * 10 * 10 * 3
    for available, storage in ((2 * need, "in memory"), (2 * need - 1, "memory-mapped")):
        monkeypatch.setattr(_memory, "available", lambda available=available: available)
        assert folder(str(tree), size=10).about["storage"] == storage


def test_some_memory_is_available() -> None:
    assert 2**20 < _memory.available() < 2**50


def test_decoded_once_until_a_file_changes(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder(str(tree), size=10)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)
        assert torch.equal(folder(str(tree), size=10).train.x, before.train.x)
    shutil.copy(tree / "train" / "dog" / "1.png", tree / "train" / "cat" / "0.png")
    os.utime(tree / "train" / "cat" / "0.png", ns=(1, 1))
    after = folder(str(tree), size=10)
    assert not torch.equal(before.train.x[0], after.train.x[0])
    assert before.about["pixels"] != after.about["pixels"]


def test_a_tree_works_without_a_cache(tree: Path) -> None:
    with pytest.warns(UserWarning, match="no cache"):
        data = folder(str(tree), size=10, cache=str(tree / "train" / "cat" / "notes.txt" / "cache"))
    assert torch.equal(data.train.x, folder(str(tree), size=10).train.x)
    assert data.about["pixels"] == folder(str(tree), size=10).about["pixels"]


def test_test_comes_before_val(tree: Path) -> None:
    shutil.copytree(tree / "val", tree / "test")
    (tree / "test" / "cat" / "0.png").unlink()
    data = folder(str(tree), size=10)
    assert (len(data.test), data.about["test_part"]) == (3, "test")


def test_greys_and_palettes_become_rgb(tree: Path) -> None:
    grey = Image.fromarray(np.full((12, 12), 7, np.uint8))
    grey.save(tree / "train" / "cat" / "0.png")
    grey.convert("P").save(tree / "train" / "cat" / "1.png")
    assert (folder(str(tree), size=10).train.x[:2] == 7).all()


def test_a_damaged_image_is_named(tree: Path) -> None:
    file = tree / "train" / "dog" / "2.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=r"train/dog/2\.png: cannot be decoded.*replace or delete it"):
        folder(str(tree), size=10)


def test_incomplete_trees(tree: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder; it needs .*train/<class>"):
        folder(str(tree / "nowhere"))
    with pytest.raises(DataError, match=r"train: has no folder test or val"):
        folder(str(tree / "train"))
    (tree / "val" / "dig").mkdir()
    with pytest.raises(DataError, match=r"val/dig: no such class in train; did you mean dog"):
        folder(str(tree))
    (tree / "train" / "dig").mkdir()
    with pytest.raises(DataError, match=r"train/dig: has no image"):
        folder(str(tree))


def test_a_test_part_without_images(tree: Path) -> None:
    shutil.rmtree(tree / "val")
    (tree / "val" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"val: has no image"):
        folder(str(tree))
    shutil.rmtree(tree / "train")
    (tree / "train").mkdir()
    with pytest.raises(DataError, match=r"train: has no folder; .* two or more"):
        folder(str(tree))


def test_one_class_is_no_data_set(tree: Path) -> None:
    shutil.move(tree / "train", tree / "all")
    (tree / "train").mkdir()
    shutil.move(tree / "all", tree / "train" / "all")
    with pytest.raises(DataError, match=r"train/all: is the only class; .*two or more"):
        folder(str(tree))


def test_classes_that_lack_images_are_said(tree: Path) -> None:
    shutil.rmtree(tree / "val" / "dog")
    for number in (1, 2):
        (tree / "train" / "dog" / f"{number}.png").unlink()
    assert folder(str(tree), size=10).notes[1:] == (
        "1 of 2 classes have a single image to train on: dog",
        "1 of 2 classes have no test image: the accuracy says nothing of them: dog",
    )


def test_what_is_passed_over_is_said(tree: Path) -> None:
    shutil.copy(tree / "train" / "cat" / "0.png", tree / "train" / "loose.png")
    shutil.copy(tree / "train" / "cat" / "0.png", tree / "train" / "dog" / "0.heic")
    (tree / "test").mkdir()
    shutil.move(tree / "val" / "cat", tree / "test" / "cat")
    notes = folder(str(tree), size=10).notes
    assert notes[:3] == (
        "passed over, as no class's folder holds them: 1 image such as train/loose.png",
        "passed over, as their names are none of images: 1 .txt, 1 .heic, such as train/cat/notes.txt",
        "the folder val is not used: test is there, and data.val holds out images of train",
    )


def test_what_systems_leave_is_no_image(tree: Path) -> None:
    before = folder(str(tree), size=10)
    for litter in ("train/__MACOSX/._0.png", "train/cat/@eaDir/0.png", "train/cat/.thumbs/0.png", "train/.git/x/0.png"):
        (tree / litter).parent.mkdir(parents=True)
        shutil.copy(tree / "train" / "cat" / "0.png", tree / litter)
    (tree / "train" / "cat" / ".DS_Store").write_bytes(b"")
    after = folder(str(tree), size=10)
    assert (after.about["pixels"], after.notes) == (before.about["pixels"], before.notes)


def test_suffixes_of_any_case(tree: Path) -> None:
    shutil.move(tree / "train" / "cat" / "0.png", tree / "train" / "cat" / "0.PNG")
    assert len(folder(str(tree), size=10).train) == 6


def test_links_are_followed_but_not_in_circles(tree: Path) -> None:
    shutil.move(tree / "train" / "cat", tree / "elsewhere")
    (tree / "train" / "cat").mkdir()
    (tree / "train" / "cat" / "more").symlink_to(tree / "elsewhere")
    assert len(folder(str(tree), size=10).train) == 6
    (tree / "elsewhere" / "again").symlink_to(tree / "train" / "cat")
    with pytest.raises(DataError, match=r"cat/more/again: is a link to a folder that it lies in; delete it"):
        folder(str(tree), size=10)
    (tree / "elsewhere" / "again").unlink()
    (tree / "elsewhere" / "lost.png").symlink_to(tree / "nothing")
    with pytest.raises(DataError, match=r"lost\.png: is a link to nothing"):
        folder(str(tree), size=10)


def test_the_same_file_twice_is_said(tree: Path) -> None:
    shutil.copy(tree / "train" / "cat" / "0.png", tree / "val" / "cat" / "copy.png")
    shutil.copy(tree / "train" / "cat" / "1.png", tree / "train" / "dog" / "copy.png")
    assert folder(str(tree), size=10).notes[1:] == (
        "1 of 5 images of test are in train too, byte for byte: val/cat/copy.png is train/cat/0.png",
        "images of train that lie in two classes, byte for byte: 1, such as train/cat/1.png is train/dog/copy.png",
    )


def test_a_choice_that_empties_a_class_is_said_or_refused(tree: Path) -> None:
    (tree / "train" / "bird").mkdir()
    shutil.copy(tree / "train" / "cat" / "0.png", tree / "train" / "bird")
    by_subset = folder(str(tree), size=10, subset="first:4").notes
    assert any("1 of 3 classes have no image to train on (data.subset took the others)" in note for note in by_subset)
    by_val = folder(str(tree), size=10, val=4).notes
    assert any("have a single image to train on (data.val took the others): " in note for note in by_val)
    by_test = folder(str(tree), size=10, test_subset="first:2").notes
    assert any("no test image (data.test_subset took the others)" in note and "dog" in note for note in by_test)
    with pytest.raises(ValueError, match=r"^subset: training images left: 1, all of the class bird; .*'first:'"):
        folder(str(tree), size=10, subset="first:1")


def test_what_is_odd_is_said_before_the_first_step(tree: Path, tmp_path: Path) -> None:
    shutil.rmtree(tree / "val" / "dog")
    few = ("data.size=8", "data.subset=null", "data.test_subset=null", "batch_size=4", "epochs=1")
    watch = Early()
    run(config(*TINY, *SMALL_MODEL, "data=folder", f"data.path={tree}", *few), tmp_path / "run", watch)
    assert "1 of 2 classes have no test image: the accuracy says nothing of them: dog" in watch.early
    assert watch.steps == 1


class Early(Silent):
    """Keeps what it is told before the first step."""

    def note(self, text: str) -> None:
        super().note(text)
        self.early = [*self.notes] if not self.steps else self.early
