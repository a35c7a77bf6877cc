from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import v2

from ablation.aug._pair import cutmix_box
from ablation.aug.cutmix import cutmix
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


def coded(n: int, h: int = 16, w: int = 12) -> Batch:
    """Image i is all i / n and target i says so: what an output is made of can be read off."""
    x = (torch.arange(n) / n)[:, None, None, None].expand(n, 1, h, w).contiguous()
    return Batch(x, torch.eye(n), torch.tensor(0.0), torch.zeros(1))


def counted(out: Batch) -> Tensor:
    """The shares of each image's pixels that came from each image, (N, N)."""
    n = len(out.x)
    sources = (out.x.flatten(1) * n).round().long()
    return torch.zeros(n, n).scatter_add_(1, sources, torch.ones(sources.shape)) / sources.shape[1]


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_targets_are_the_pixels_counted(per: str) -> None:
    for seed in range(20):
        out = cutmix(1.0, 1.0, per)(coded(40), Key.root(seed))
        torch.testing.assert_close(out.y, counted(out))


def test_pasted_is_torchvisions_for_the_same_box(make: Make) -> None:
    """torchvision pairs each image with the one before it, so it is given the pairs by hand, two at a time."""
    batch, key = make(h=24), Key.root(3)
    lam, partner = key.fold("lam").beta(1.0, 1.0, 1), key.fold("partner").permutation(64)
    top, left, height, width = (int(v) for v in cutmix_box(key, lam, 24, 32))
    box = (left, top, left + width, top + height)
    assert width * height > 0
    params = {"box": box, "lam_adjusted": 1 - width * height / (24 * 32), "batch_size": 2}
    theirs, out = v2.CutMix(num_classes=10), cutmix(1.0, 1.0)(batch, key)
    for i, j in enumerate(partner.tolist()):
        labels = batch.y[[j, i]]
        assert torch.equal(theirs.transform(batch.x[[j, i]], {**params, "labels": labels})[1], out.x[i])
        torch.testing.assert_close(theirs.transform(labels, {**params, "labels": labels})[1], out.y[i])


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_boxes_have_torchvisions_law(beta: float) -> None:
    n, h, w = 2000, 30, 20
    theirs = v2.CutMix(alpha=beta, num_classes=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = torch.tensor([theirs.make_params([torch.zeros(2, 1, h, w)])["box"] for _ in range(n)])
    key = Key.root(1)
    top, left, height, width = cutmix_box(key, key.fold("lam").beta(beta, beta, n), h, w)
    ours = torch.stack([left, top, left + width, top + height], 1)
    sizes = (ours[:, 2:] - ours[:, :2], reference[:, 2:] - reference[:, :2])
    for one, other in ((ours[:, :2], reference[:, :2]), (ours[:, 2:], reference[:, 2:]), sizes):
        for axis in range(2):
            assert stats.ks_2samp(one[:, axis], other[:, axis], method="asymp").pvalue > 1e-3


def test_probability() -> None:
    n = 2000
    own = cutmix(1.0, 0.3, "sample")(coded(n, 32, 32), Key.root(0)).y.diagonal()
    assert abs((own < 1).float().mean() - 0.3 * 255 / 256) < 4 * (0.21 / n) ** 0.5  # a box below 2 pixels is empty


@pytest.mark.parametrize("arguments", [{"p": 0.0}, {"beta": 0.0}])
def test_neutral(arguments: dict[str, float], make: Make) -> None:
    batch = make()
    assert cutmix(**arguments)(batch, Key.root(0)) is batch  # type: ignore[arg-type]


def test_a_batch_that_is_not_chosen_keeps_its_bits(make: Make) -> None:
    batch = make()
    out = cutmix(p=1e-9)(batch, Key.root(0))
    assert torch.equal(out.x, batch.x)
    assert torch.equal(out.y, batch.y)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"beta": -1.0}, "beta"), ({"beta": float("nan")}, "beta"), ({"p": 1.1}, "p"), ({"per": "image"}, "per")],
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        cutmix(**arguments)  # type: ignore[arg-type]
