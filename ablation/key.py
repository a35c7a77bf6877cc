"""Randomness that is derived, never carried: a key is one 64-bit word, and every draw is a pure function of it.

The key of a draw is folded from (seed, step, trick, site), so that adding a trick shifts nobody else's draws, arms
share their random numbers, and resuming needs no generator state. All functions work on every device, inside
`torch.vmap` (one key per lane) and `torch.compile`.

Counter-based generators: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). The mixers are
SplitMix64 (Steele et al. 2014) for words and lowbias32 (Wellons, "Hash Prospector", 2018) for draws.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def _signed(word: int, bits: int = 64) -> int:
    return word - (1 << bits) if word >> (bits - 1) else word


_GOLDEN, _MIX_A, _MIX_B = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _splitmix(n: int) -> int:
    z = (n + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _MIX_A) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_B) & _MASK
    return z ^ (z >> 31)


def _shift(x: Tensor, by: int, bits: int) -> Tensor:
    """Logical right shift; torch's own is arithmetic."""
    return (x >> by) & ((1 << (bits - by)) - 1)


def _splitmix_tensor(n: Tensor) -> Tensor:
    z = n + _signed(_GOLDEN)
    z = (z ^ _shift(z, 30, 64)) * _signed(_MIX_A)
    z = (z ^ _shift(z, 27, 64)) * _signed(_MIX_B)
    return z ^ _shift(z, 31, 64)


def _mix32(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 16, 32)) * 0x7FEB352D
    x = (x ^ _shift(x, 15, 32)) * _signed(0x846CA68B, 32)
    return x ^ _shift(x, 16, 32)


def _site(site: str | int) -> int:
    """A well mixed word for a name or number, in plain arithmetic, which `torch.compile` folds to a constant."""
    if not isinstance(site, str | int):
        raise TypeError(f"a key is folded by a name, a whole number or a tensor of those, not by {site!r}")
    number = site if isinstance(site, int) else 0
    for letter in site if isinstance(site, str) else "":
        number = ((number ^ ord(letter)) * 0x100000001B3) & _MASK  # FNV-1a
    return _signed(_splitmix(number & _MASK))


def normal_of(radius: Tensor, angle: Tensor) -> Tensor:
    """Standard normal numbers of two uniform ones each (Box and Muller 1958)."""
    return torch.sqrt(-2.0 * torch.log1p(-radius)) * torch.cos(2.0 * math.pi * angle)


_TRIES = 16
_TRY = (("normal", "radius"), ("normal", "angle"), ("accept",))  # the sites of a gamma's tries
Path = tuple[str | int, ...]  # of sites


class Key:
    """One 64-bit word, int64 of shape () (or more keys at once: any shape, for `fold` only).

    The draws of `ablation.ahead.EXACT` are whole numbers, or such times a power of two: the same bits for one key and
    for many at once. The others make logarithms of them.
    """

    __slots__ = ("_word",)

    def __init__(self, word: Tensor) -> None:
        self._word = word

    @property
    def word(self) -> Tensor:
        """The word, int64 of shape ()."""
        return self._word

    @staticmethod
    def root(seed: int) -> Key:
        """The key of a trial's seed, on the CPU."""
        return Key(torch.tensor(_signed(_splitmix(_splitmix(seed & _MASK))), dtype=torch.int64))

    def fold(self, site: str | int | Tensor) -> Key:
        """Another key for a named or numbered site; an int64 tensor of numbers gives as many keys."""
        number = _splitmix_tensor(site) if isinstance(site, Tensor) else _site(site)
        word = (self.word ^ number) * _signed(_MIX_A)
        return Key(word ^ _shift(word, 32, 64))

    def generator(self) -> torch.Generator:
        """A torch generator on the CPU seeded by this key, for library initialisers.

        Reads the word on the host, so not for the loop.
        """
        return torch.Generator().manual_seed(int(self.word) & (_MASK >> 1))

    def bits(self, *shape: int) -> Tensor:
        """Uniform int32 words of this shape."""
        counter = torch.arange(math.prod(shape), dtype=torch.int32, device=self.word.device)
        mixed = _mix32(counter ^ self.word.to(torch.int32))
        return _mix32(mixed ^ (self.word >> 32).to(torch.int32)).reshape(shape)

    def uniform(self, *shape: int) -> Tensor:
        """Float32 in [0, 1), 24 random bits each."""
        return _shift(self.bits(*shape), 8, 32).to(torch.float32) * 2.0**-24

    def uniforms(self, paths: tuple[Path, ...], *shape: int) -> Tensor:
        """As many uniform draws as one, (paths, *shape): each that of the key folded by a path of sites."""
        keys = []
        for path in paths:
            key = self
            for site in path:
                key = key.fold(site)
            keys.append(key)
        return torch.stack([key.uniform(*shape) for key in keys])

    def bernoulli(self, p: float | Tensor, *shape: int) -> Tensor:
        """Booleans, true with probability p."""
        return self.uniform(*shape) < p

    def mask(self, p: float, *shape: int) -> Tensor:
        """Booleans, true with probability p, rounded to 2^-16: of two draws a word, a fifth of `bernoulli`'s work."""
        *rows, last = shape
        halves = self.bits(*rows, -(-last // 2)).view(torch.int16)[..., :last]
        return halves < min(round(p * 2**16), 2**16 - 1) - 2**15

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Int64 in [0, high), for high up to 2^20 or so (24 random bits each)."""
        return (self.uniform(*shape) * high).to(torch.int64)

    def permutation(self, n: int) -> Tensor:
        """A random order of 0..n-1, int64 of shape (n,)."""
        return torch.argsort(self.bits(n), stable=True)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32."""
        return normal_of(self.fold("radius").uniform(*shape), self.fold("angle").uniform(*shape))

    def log_gamma(self, shape_parameter: float, *shape: int) -> Tensor:
        """Logarithm of Gamma(shape_parameter, 1) in float32: Marsaglia and Tsang (2000), with the tries drawn at once.

        One try is accepted with probability above 0.95; all 16 fail with less than 1e-20. In logarithms because draws
        with a small parameter underflow.
        """
        return self._log_gammas(((),), shape_parameter, *shape).squeeze(0)

    def beta(self, a: float, b: float, *shape: int) -> Tensor:
        """Beta(a, b) in float32."""
        (drawn,) = self.betas(((),), a, b, *shape)
        return drawn

    def betas(self, paths: tuple[Path, ...], a: float, b: float, *shape: int) -> list[Tensor]:
        """`beta` of the key folded by each of these paths of sites, in one go."""
        return [torch.sigmoid(log_odds) for log_odds in self._log_odds(paths, a, b, *shape).unbind(0)]

    def _log_odds(self, paths: tuple[Path, ...], a: float, b: float, *shape: int) -> Tensor:
        """(paths, *shape)."""
        ones, others = (tuple((*path, site) for path in paths) for site in ("a", "b"))
        if a != b:
            return self._log_gammas(ones, a, *shape) - self._log_gammas(others, b, *shape)
        one, other = self._log_gammas((*ones, *others), a, *shape).chunk(2)
        return one - other

    def _log_gammas(self, paths: tuple[Path, ...], shape_parameter: float, *shape: int) -> Tensor:
        """(paths, *shape): `log_gamma` of the key folded by each path, all of them in one go."""
        d = shape_parameter + (1.0 if shape_parameter < 1 else 0.0) - 1.0 / 3.0
        tries = self.uniforms(tuple((*path, *of) for of in _TRY for path in paths), _TRIES, *shape)
        radius, angle, u = tries.chunk(len(_TRY))
        z = normal_of(radius, angle)
        v = (1.0 + z / math.sqrt(9.0 * d)) ** 3
        accepted = (v > 0) & (torch.log(u) < 0.5 * z**2 + d - d * v + d * torch.log(v.clamp_min(1e-30)))
        first = accepted.to(torch.uint8).argmax(1, keepdim=True)
        draw = torch.log(d * v.gather(1, first).squeeze(1).clamp_min(1e-30))
        if shape_parameter < 1:
            boost = self.uniforms(tuple((*path, "boost") for path in paths), *shape)
            draw = draw + torch.log1p(-boost) / shape_parameter
        return draw
