"""Randomness: the law of each draw, the independence of streams, and the same numbers however they are computed."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from ablation.key import Key

# Every draw is a fixed function of its key, so a test that passes once passes for ever. 1e-3 is the level of each.
LEVEL = 1e-3
N = 50_000
ROOT = Key.root(2024)


def streams(words: Tensor, n: int) -> Tensor:
    """(K,) words -> (K, n) uniforms in float64, less their mean."""
    drawn: Tensor = torch.vmap(lambda word: Key(word).uniform(n))(words)
    return drawn.double() - 0.5


def roots(seeds: range) -> Tensor:
    return torch.stack([Key.root(seed).word for seed in seeds])


FAMILIES: dict[str, Callable[[int], Tensor]] = {
    "seeds": lambda k: roots(range(k)),
    "steps": lambda k: ROOT.fold(torch.arange(k)).word,
    "sites": lambda k: torch.stack([ROOT.fold(f"site {i}").word for i in range(k)]),
    "nested": lambda k: ROOT.fold(torch.arange(k)).fold("mixup").fold("lam").fold("a").word,
    "layers": lambda k: ROOT.fold("model.blocks").fold(torch.arange(k)).fold("word").word,
}
family = pytest.mark.parametrize("words", FAMILIES.values(), ids=FAMILIES.keys())


@family
@pytest.mark.parametrize("place", [0, 1, 77])
def test_one_place_is_uniform_over_keys(words: Callable[[int], Tensor], place: int) -> None:
    """What a scalar draw sees, such as mixup's lam: one number of each of many keys."""
    drawn = streams(words(10_000), 100)[:, place] + 0.5
    assert stats.kstest(drawn, "uniform").pvalue > LEVEL


@family
def test_means_over_a_stream_are_normal(words: Callable[[int], Tensor]) -> None:
    """Neither too far from a half nor, as with a low-discrepancy sequence, too near."""
    means = streams(words(2000), 1000).mean(1) * math.sqrt(12 * 1000)
    assert stats.kstest(means, "norm").pvalue > LEVEL


@family
def test_neighbouring_streams_are_uncorrelated(words: Callable[[int], Tensor]) -> None:
    u = streams(words(500), 2000)
    for shift in (1, 2, 64):
        z = (u[shift:] * u[:-shift]).mean(1) * 12 * math.sqrt(2000)
        assert stats.kstest(z, "norm").pvalue > LEVEL


@family
def test_neighbours_within_a_stream_are_uncorrelated(words: Callable[[int], Tensor]) -> None:
    u = streams(words(500), 4096)
    for lag in (1, 2, 3, 32, 1024):
        z = (u[:, lag:] * u[:, :-lag]).mean(1) * 12 * math.sqrt(4096 - lag)
        assert stats.kstest(z, "norm").pvalue > LEVEL


@pytest.mark.parametrize(("one", "other"), [("radius", "angle"), ("a", "b"), ("row", "column"), ("x", "x again")])
def test_sites_are_jointly_uniform_over_steps(one: str, other: str) -> None:
    steps = ROOT.fold(torch.arange(N))
    u, v = ((streams(steps.fold(site).word, 1)[:, 0] + 0.5) for site in (one, other))
    cells = torch.bincount((u * 16).long() * 16 + (v * 16).long(), minlength=256)
    assert stats.chisquare(cells).pvalue > LEVEL


def test_every_bit_is_fair_and_flips_with_every_bit_of_the_word() -> None:
    g = torch.Generator().manual_seed(0)
    words = torch.randint(-(2**63), 2**63 - 1, (2000,), generator=g)
    draw = torch.vmap(lambda word: Key(word).bits(4))
    places = torch.arange(32)

    def share(bits: Tensor) -> Tensor:
        return ((bits[..., None] >> places) & 1).double().mean((0, 1))

    bound = 5 * 0.5 / math.sqrt(8000)
    assert (share(draw(words)) - 0.5).abs().max() < bound
    for bit in range(64):
        flipped = words ^ (1 << bit if bit < 63 else -(2**63))
        assert (share(draw(flipped) ^ draw(words)) - 0.5).abs().max() < bound


def test_no_two_keys_meet() -> None:
    """Bit for bit different words for all steps and sites of many seeds."""
    steps = torch.arange(20_000)
    sites = [Key.root(seed).fold("step").fold(steps).fold(site).word for seed in range(10) for site in ("a", "b", "c")]
    words = torch.cat([*sites, roots(range(20_000))])
    assert len(words.unique()) == len(words)
    assert not torch.equal(ROOT.fold("a").fold("b").bits(8), ROOT.fold("b").fold("a").bits(8))


def test_no_two_sites_meet() -> None:
    """All names of up to three letters, paths that differ in a number, and numbers."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(w) for n in (1, 2, 3) for w in itertools.product(letters, repeat=n)]
    names += [f"model.blocks.{i}.branch.{j}" for i in range(60) for j in range(20)]
    words = {ROOT.fold(site).word.item() for site in [*names, *range(5000)]}
    assert len(words) == len(names) + 5000


def test_the_law_of_each_draw() -> None:
    uniform = ROOT.uniform(N)
    assert stats.kstest(uniform, "uniform").pvalue > LEVEL
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.chisquare(torch.bincount(ROOT.integers(10, N), minlength=10)).pvalue > LEVEL
    assert stats.kstest(ROOT.normal(N), "norm").pvalue > LEVEL
    for p in (0.0, 0.1, 0.5, 1.0):
        assert abs(ROOT.bernoulli(p, N).double().mean().item() - p) <= 4 * math.sqrt(p * (1 - p) / N)
    high = torch.arange(1, 101)[:, None]
    drawn = ROOT.integers(high, 100, 100)
    assert ((drawn >= 0) & (drawn < high)).all()


@pytest.mark.parametrize("p", [0.0, 0.002, 0.1, 0.5, 0.9999])
def test_masks_have_their_share_and_both_halves_of_a_word_are_independent(p: float) -> None:
    mask = ROOT.mask(p, N // 2, 2)
    assert abs(mask.double().mean().item() - p) <= 4 * math.sqrt(p * (1 - p) / N) + 2**-16
    both = mask.all(1).double().mean().item()
    assert abs(both - p * p) <= 4 * math.sqrt(p * p / (N // 2)) + 2**-15
    assert ROOT.mask(p, 3, 5).shape == (3, 5)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.3, 1.0, 2.0, 20.0])
def test_beta(alpha: float) -> None:
    """Halves apart: float32 rounds what is near 1, so the upper half is looked at from below, as 1 - Beta."""
    law = stats.beta(alpha, alpha)
    lam = ROOT.fold(str(alpha)).beta(alpha, alpha, N).double()
    assert ((lam >= 0) & (lam <= 1)).all()
    below = lam[lam < 0.5]
    assert stats.binomtest(len(below), N, 0.5).pvalue > LEVEL
    seen = below.clamp_min(1e-20)  # float32 has nothing far below
    at_floor = 2 * law.cdf(1e-20)
    assert stats.kstest(seen[seen > 1e-20], lambda v: (2 * law.cdf(v) - at_floor) / (1 - at_floor)).pvalue > LEVEL
    for edge in (0.6, 0.8, 0.95):
        share = (lam > edge).double().mean().item()
        assert share == pytest.approx(law.sf(edge), abs=4 * math.sqrt(law.sf(edge) / N))


@pytest.mark.parametrize(("a", "b"), [(0.5, 3.0), (4.0, 1.0)])
def test_beta_of_two_parameters(a: float, b: float) -> None:
    assert stats.kstest(ROOT.beta(a, b, N).clamp(max=1 - 1e-7), stats.beta(a, b).cdf).pvalue > LEVEL


@pytest.mark.parametrize("shape_parameter", [0.3, 1.0, 2.5, 40.0])
def test_gamma(shape_parameter: float) -> None:
    drawn = ROOT.log_gamma(shape_parameter, N).double().exp()
    assert stats.kstest(drawn, stats.gamma(shape_parameter).cdf).pvalue > LEVEL


@pytest.mark.parametrize("n", [1, 2, 7, 128, 50_000])
def test_permutation_is_one(n: int) -> None:
    order = ROOT.permutation(n)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(n))


def test_permutations_are_equally_likely() -> None:
    orders = torch.vmap(lambda word: Key(word).permutation(4))(FAMILIES["steps"](24_000))
    count = torch.bincount((orders * torch.tensor([64, 16, 4, 1])).sum(1), minlength=256)
    assert (count > 0).sum() == 24
    assert stats.chisquare(count[count > 0]).pvalue > LEVEL


def everything(key: Key) -> tuple[Tensor, ...]:
    """One of each draw."""
    steps = torch.arange(3)
    return (
        key.fold("a").word, key.fold(7).word, key.fold(steps).word, key.bits(5, 3), key.bits(), key.uniform(33),
        key.bernoulli(0.3, 9), key.mask(0.3, 9), key.integers(100, 9), key.normal(9), key.permutation(9),
        key.beta(0.3, 0.3, 5), key.beta(2.0, 1.0),
    )  # fmt: skip


def test_lanes_are_single_keys() -> None:
    words = roots(range(3))
    lanes = torch.vmap(lambda word: everything(Key(word)))(words)
    for i in range(3):
        for stacked, single in zip(lanes, everything(Key(words[i])), strict=True):
            torch.testing.assert_close(stacked[i], single, rtol=1e-6, atol=1e-7)
            assert single.is_floating_point() or torch.equal(stacked[i], single)


def test_compiled_is_eager() -> None:
    compiled = torch.compile(lambda word: everything(Key(word)), backend="aot_eager", fullgraph=True)
    for one, other in zip(compiled(ROOT.word), everything(ROOT), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Inductor's own
def test_generated_code_is_eager() -> None:
    compiled = torch.compile(lambda word: everything(Key(word)), fullgraph=True)
    for one, other in zip(compiled(ROOT.word), everything(ROOT), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", [0, 1, 12345, -1, 2**62, -(2**63)])
def test_fold_of_a_number_is_that_of_a_tensor(number: int) -> None:
    one, other = ROOT.fold(number).word, ROOT.fold(torch.tensor(number)).word
    assert torch.equal(one, other)


def test_golden() -> None:
    """A change here changes every run: old runs can no longer be resumed or repeated."""
    assert Key.root(0).word.item() == -6411193824288604561
    assert Key.root(0).fold("cutout").fold(3).bits(3).tolist() == [-1961227701, -1685333491, 1080984391]


def test_generator_is_seeded_by_the_key() -> None:
    one, same, other = (torch.randn(4, generator=key.generator()) for key in (ROOT, ROOT, ROOT.fold("other")))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
