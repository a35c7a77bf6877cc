from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from timm.data.mixup import Mixup
from torch import Tensor

from ablation.aug.cutmix import cutmix
from ablation.aug.mixup import mixup
from ablation.aug.mixup_or_cutmix import mixup_or_cutmix
from ablation.key import Key
from ablation.types import Batch

Make = Callable[..., Batch]


@pytest.mark.parametrize("per", ["batch", "sample"])
def test_the_ends_of_the_switch_are_the_two(make: Make, per: str) -> None:
    for seed in range(5):
        batch, key = make(), Key.root(seed)
        for switch, alone in ((0.0, mixup(0.8, per)), (1.0, cutmix(0.7, 1.0, per))):
            ours, expected = mixup_or_cutmix(0.8, 0.7, 1.0, switch, per)(batch, key), alone(batch, key)
            assert torch.equal(ours.x, expected.x)
            assert torch.equal(ours.y, expected.y)


def read(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of images (N, 1, H, W), each of one grey, with targets of their own: lam, and which were mixed and which cut."""
    lam, flat = y.diagonal(), (x.amax((1, 2, 3)) - x.amin((1, 2, 3))) < 1e-6
    return lam, flat & (lam < 1), ~flat


@pytest.mark.parametrize("p", [1.0, 0.4])
def test_shares_and_strengths_are_timms(p: float) -> None:
    n = 2000
    x = (torch.arange(n) / n)[:, None, None, None].expand(n, 1, 24, 24).contiguous()
    ours = mixup_or_cutmix(0.8, 1.0, p, 0.3, "sample")(
        Batch(x, torch.eye(n), torch.tensor(0.0), torch.zeros(1)), Key.root(1)
    )
    theirs = Mixup(0.8, 1.0, prob=p, switch_prob=0.3, mode="elem", label_smoothing=0.0, num_classes=n)
    state = np.random.get_state()
    np.random.seed(0)
    lam, *kinds = read(*theirs(x.clone(), torch.arange(n)))
    np.random.set_state(state)
    own, *own_kinds = read(ours.x, ours.y)
    for kind, own_kind, share in zip(kinds, own_kinds, (0.7 * p, 0.3 * p), strict=True):
        for chosen in (kind, own_kind):
            assert abs(chosen.float().mean() - share) < 0.05
        assert stats.ks_2samp(lam[kind], own[own_kind], method="asymp").pvalue > 1e-3


def test_p_0_changes_nothing_and_what_is_not_chosen_keeps_its_bits(make: Make) -> None:
    batch = make()
    assert mixup_or_cutmix(p=0.0)(batch, Key.root(0)) is batch
    out = mixup_or_cutmix(p=1e-9)(batch, Key.root(0))
    assert torch.equal(out.x, batch.x)
    assert torch.equal(out.y, batch.y)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"alpha": 0.0}, "alpha"), ({"beta": -1.0}, "beta"), ({"p": 2.0}, "p"), ({"switch": -0.1}, "switch"),
     ({"per": "elem"}, "per")],
)  # fmt: skip
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        mixup_or_cutmix(**arguments)  # type: ignore[arg-type]
