from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ablation.aug.ricap import ricap
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]
H, W = 15, 20


def where(n: int, beta: float, per: str, key: Key) -> tuple[Tensor, Batch]:
    """Whence each pixel of each output came: (N, 3, H, W) of image, row, column; and the output."""
    image, row, column = torch.meshgrid(torch.arange(n), torch.arange(H), torch.arange(W), indexing="ij")
    x = torch.stack([image, row, column], 1).float().contiguous(memory_format=torch.channels_last)
    out = ricap(beta, per)(Batch(x, torch.eye(n), torch.tensor(0.0), torch.zeros(3)), key)
    return out.x.long(), out


def borders(source: Tensor) -> tuple[int, int]:
    """Height and width of the first quarter: where an image, or a run of its rows or columns, ends."""
    (image, row, _), (across, _, column) = source[:, :, 0].tolist(), source[:, 0].tolist()
    down = (i for i in range(H) if (image[i], row[i]) != (image[0], row[0] + i))
    right = (j for j in range(W) if (across[j], column[j]) != (across[0], column[0] + j))
    return next(down, H), next(right, W)


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_outputs_are_four_crops_and_targets_their_areas(per: str) -> None:
    """Rebuilt image by image with torchvision's crop from what the output says of itself."""
    n = 12
    source, out = where(n, 1.0, per, Key.root(4))
    found = []
    for i in range(n):
        height, width = borders(source[i])
        target, rebuilt = torch.zeros(n), torch.zeros(3, H, W)
        for rows, columns in (
            (slice(r0, r1), slice(c0, c1))
            for r0, r1 in ((0, height), (height, H))
            for c0, c1 in ((0, width), (width, W))
        ):
            part = source[i][:, rows, columns]
            if part.numel() == 0:
                continue
            image, top, left = part[:, 0, 0].tolist()
            whole = torch.stack(
                [torch.full((H, W), image), *torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")]
            )
            rebuilt[:, rows, columns] = F.crop(whole.float(), top, left, *part.shape[1:])
            target[image] += part[0].numel() / (H * W)
        assert torch.equal(rebuilt, out.x[i])
        torch.testing.assert_close(out.y[i], target)
        found.append((height, width))
    assert (len(set(found)) == 1) == (per == "batch")


def test_each_quarter_is_a_permutation_of_the_batch() -> None:
    source, _ = where(30, 1.0, "batch", Key.root(2))
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert source[:, 0, corner[0], corner[1]].sort().values.tolist() == list(range(30))


def test_laws_are_the_definitions() -> None:
    """Borders and places against NumPy's draws, one image at a time as the paper says it."""
    n, rng = 2000, np.random.default_rng(0)
    source, _ = where(n, 0.3, "sample", Key.root(1))
    first = source[:, 0]  # the four images of an output differ in nearly all of 2000
    width = (first[:, 0] == first[:, :1, 0]).sum(1)
    top, left = source[:, 1, 0, 0], source[:, 2, 0, 0]
    drawn = np.round(W * rng.beta(0.3, 0.3, n)), np.round(H * rng.beta(0.3, 0.3, n))
    places = [rng.integers(0, length - d + 1) for length, d in zip((W, H), drawn, strict=True)]
    # Where the first quarter is empty, the first pixel is another's: only outputs that have it.
    inside = (drawn[0] > 0) & (drawn[1] > 0)
    expected = np.where(drawn[0] > 0, drawn[0], W)  # an empty left half looks like a whole row of the right one
    assert stats.ks_2samp(width.numpy(), expected, method="asymp").pvalue > 1e-3
    seen = (first[:, 0, 0] != first[:, 0, -1]) & (first[:, 0, 0] != first[:, -1, 0])
    kept = inside & (drawn[0] < W) & (drawn[1] < H)
    assert abs(seen.float().mean() - kept.mean()) < 0.06
    assert stats.ks_2samp(left[seen].numpy(), places[0][kept], method="asymp").pvalue > 1e-3
    assert stats.ks_2samp(top[seen].numpy(), places[1][kept], method="asymp").pvalue > 1e-3


def test_equal_images_and_labels_stay(make: Make) -> None:
    batch = make()
    flat = batch._replace(x=torch.full_like(batch.x, 0.25), y=batch.y[:1].expand(64, -1))
    out = ricap()(flat, Key.root(0))
    assert torch.equal(out.x, flat.x)
    torch.testing.assert_close(out.y, flat.y)


def test_beta_0_changes_nothing(make: Make) -> None:
    batch = make()
    assert ricap(0.0)(batch, Key.root(0)) is batch


@pytest.mark.parametrize(("arguments", "named"), [({"beta": -0.1}, "beta"), ({"per": "image"}, "per")])
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        ricap(**arguments)  # type: ignore[arg-type]
