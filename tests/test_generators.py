"""torch's global generators, seeded in every step."""

from __future__ import annotations

import pytest
import torch

from ablation import generators


@pytest.mark.parametrize("number", [0, 5, -3, -(1 << 63), (1 << 63) - 1])
def test_the_numbers_drawn_are_those_after_manual_seed(number: int) -> None:
    torch.manual_seed(number)
    whole, normal = torch.rand(7), torch.randn(7)
    generators.seed(torch.device("cpu"), number)
    assert torch.equal(torch.rand(7), whole)
    assert torch.equal(torch.randn(7), normal)


def test_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(1)
    assert seeded == [1], "this is what torch does"
    generators.seed(torch.device("cpu"), 2)
    assert seeded == [1]
