"""What must hold of every comparison."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from results.stats.compare import Comparison, compare
from results.stats.holm import adjust

values = st.floats(0, 100, allow_subnormal=False).map(lambda x: round(x, 2))
arms = st.dictionaries(st.integers(0, 9), values, min_size=1, max_size=8)
few = settings(max_examples=40, deadline=None)


def both(arm: dict[int, float], base: dict[int, float]) -> Comparison:
    found = compare(arm, base)
    assert found is not None
    return found


def same(found: Comparison, *expected: float) -> None:
    """Difference, t interval, both p."""
    ours = (found.diff, found.low, found.high, found.p, found.p_exact)
    assert ours == pytest.approx(expected, rel=1e-6, abs=1e-8, nan_ok=True)


@few
@given(arms, arms)
def test_the_other_way_round_only_signs_change(arm: dict[int, float], base: dict[int, float]) -> None:
    there, back = both(arm, base), both(base, arm)
    same(back, -there.diff, -there.high, -there.low, there.p, there.p_exact)
    assert (back.n, back.paired, back.needed, back.identical) == (there.n, there.paired, there.needed, there.identical)
    # Resamples of few seeds have few means: drawn anew, a quantile may be the next of them.
    next_mean = sum(max(side.values()) - min(side.values()) for side in (arm, base)) / there.n
    other = pytest.approx(-there.boot_high, abs=max(0.1 * there.std, next_mean))
    assert math.isnan(there.boot_low) or back.boot_low == other


@few
@given(arms, arms, st.integers(-50, 50), st.sampled_from([0.01, 0.5, 3.0]))
def test_another_unit_changes_nothing_but_the_unit(
    arm: dict[int, float], base: dict[int, float], shift: int, scale: float
) -> None:
    before = both(arm, base)
    assume(not 0 < before.std < 1e-6)
    after = both({s: scale * (v + shift) for s, v in arm.items()}, {s: scale * (v + shift) for s, v in base.items()})
    same(after, scale * before.diff, scale * before.low, scale * before.high, before.p, before.p_exact)
    assert after.detectable == pytest.approx(scale * before.detectable, rel=1e-6, nan_ok=True)
    assert after.boot_low == pytest.approx(scale * before.boot_low, rel=1e-6, abs=1e-6, nan_ok=True)


@few
@given(arms, arms, st.permutations(range(10)))
def test_which_seed_is_which_does_not_matter(arm: dict[int, float], base: dict[int, float], order: list[int]) -> None:
    before = both(arm, base)
    after = both({order[s]: v for s, v in arm.items()}, {order[s]: v for s, v in base.items()})
    assert astuple(after) == pytest.approx(astuple(before), nan_ok=True)


@few
@given(arms, arms)
def test_p_and_interval_say_the_same(arm: dict[int, float], base: dict[int, float]) -> None:
    found = both(arm, base)
    assume(math.isfinite(found.low) and abs(found.p - 0.05) > 1e-6)
    assert (found.low <= 0 <= found.high) == (found.p > 0.05)
    assert found.low <= found.diff <= found.high
    assert found.boot_low <= found.diff + 1e-9 or math.isnan(found.boot_low)
    assert 0 <= found.p <= 1
    assert 0 < found.p_exact <= 1


@few
@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=12))
def test_holm_only_raises_and_keeps_the_order(p: list[float]) -> None:
    adjusted = adjust(p)
    known = [(a, b) for a, b in zip(p, adjusted, strict=True) if not math.isnan(a)]
    assert [math.isnan(a) for a in p] == [math.isnan(b) for b in adjusted]
    assert all(a <= b <= 1 for a, b in known)
    assert (np.diff([b for _, b in sorted(known)]) >= 0).all()
