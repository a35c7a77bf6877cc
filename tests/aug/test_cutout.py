from collections.abc import Callable

import pytest
import torch

from ablation.aug.cutout import cutout
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


def masks(batch: Batch, out: Batch) -> torch.Tensor:
    return (out.x == batch.mean[:, None, None]).all(1)


@pytest.mark.parametrize("size", [1, 5, 8, 16])
def test_square_is_centred_on_a_uniform_pixel_and_cut_at_the_edge(make: Make, size: int) -> None:
    """Against the definition, in plain loops."""
    batch, key = make(), Key.root(3)
    rows, columns = (key.fold(site).integers(32, 64, 1).flatten().tolist() for site in ("row", "column"))
    mask = masks(batch, cutout(size)(batch, key))
    for i, (row, column) in enumerate(zip(rows, columns, strict=True)):
        top, left = row - size // 2, column - size // 2
        expected = torch.zeros(32, 32, dtype=torch.bool)
        expected[max(top, 0) : top + size, max(left, 0) : left + size] = True
        assert torch.equal(mask[i], expected)


def test_area_lost_is_the_closed_form(make: Make) -> None:
    """A side of 16 around pixel c keeps min(c + 8, 32) - max(c - 8, 0) pixels: 14 on average, so 196 of 1024."""
    mean = sum(min(c + 8, 32) - max(c - 8, 0) for c in range(32)) / 32
    batch = make(n=4000)
    lost = masks(batch, cutout(16)(batch, Key.root(0))).sum((1, 2)).float()
    assert lost.mean().item() == pytest.approx(mean**2, abs=5 * lost.std().item() / 4000**0.5)


def test_the_rest_is_untouched_and_the_mask_is_zero_when_normalised(make: Make) -> None:
    batch = make()
    out = cutout(16)(batch, Key.root(0))
    mask = masks(batch, out)[:, None].expand_as(batch.x)
    assert torch.equal(out.x[~mask], batch.x[~mask])
    assert (out.x - batch.mean[:, None, None])[mask].abs().max() == 0
    assert out.y is batch.y


def test_holes_are_the_union_of_as_many_squares(make: Make) -> None:
    batch = make()
    areas = [masks(batch, cutout(8, holes)(batch, Key.root(0))).sum().item() for holes in (1, 2, 4)]
    assert areas[0] < areas[1] < areas[2] <= 4 * 64 * 64


def test_size_0_changes_nothing(make: Make) -> None:
    batch = make()
    assert torch.equal(cutout(0)(batch, Key.root(0)).x, batch.x)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"size": -1}, "size"), ({"size": 1.5}, "size"), ({"holes": 0}, "holes"), ({"holes": 1.5}, "holes")],
)
def test_refuses(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        cutout(**arguments)  # type: ignore[arg-type]
