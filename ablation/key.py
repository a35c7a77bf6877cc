"""Randomness that is derived, never carried: a key is one 64-bit word, and every draw is a pure function of it.

The key of a draw is folded from (seed, step, trick, site), so that adding a trick shifts nobody else's draws, arms
share their random numbers, and resuming needs no generator state. All functions work on every device, inside
`torch.vmap` (one key per lane) and `torch.compile`.

Counter-based generators: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). The mixers are
SplitMix64 (Steele et al. 2014) for words and lowbias32 (Wellons, "Hash Prospector", 2018) for draws.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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
    number = site if isinstance(site, int) else 0
    for letter in site if isinstance(site, str) else "":
        number = ((number ^ ord(letter)) * 0x100000001B3) & _MASK  # FNV-1a
    return _signed(_splitmix(number & _MASK))


class Key(NamedTuple):
    """One 64-bit word, int64 of shape () (or more keys at once: any shape, for `fold` only)."""

    word: Tensor

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

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 (Box and Muller 1958)."""
        radius = torch.sqrt(-2.0 * torch.log1p(-self.fold("radius").uniform(*shape)))
        return radius * torch.cos(2.0 * math.pi * self.fold("angle").uniform(*shape))

    def permutation(self, n: int) -> Tensor:
        """A random order of 0..n-1, int64 of shape (n,)."""
        return torch.argsort(self.bits(n), stable=True)

    def log_gamma(self, shape_parameter: float, *shape: int) -> Tensor:
        """Logarithm of Gamma(shape_parameter, 1) in float32: Marsaglia and Tsang (2000), with the tries drawn at once.

        One try is accepted with probability above 0.95; all 16 fail with less than 1e-20. In logarithms because draws
        with a small parameter underflow.
        """
        d = shape_parameter + (1.0 if shape_parameter < 1 else 0.0) - 1.0 / 3.0
        z, u = self.fold("normal").normal(16, *shape), self.fold("accept").uniform(16, *shape)
        v = (1.0 + z / math.sqrt(9.0 * d)) ** 3
        accepted = (v > 0) & (torch.log(u) < 0.5 * z**2 + d - d * v + d * torch.log(v.clamp_min(1e-30)))
        first = accepted.to(torch.uint8).argmax(0, keepdim=True)
        draw = torch.log(d * v.gather(0, first).squeeze(0).clamp_min(1e-30))
        if shape_parameter < 1:
            draw = draw + torch.log1p(-self.fold("boost").uniform(*shape)) / shape_parameter
        return draw

    def beta(self, a: float, b: float, *shape: int) -> Tensor:
        """Beta(a, b) in float32."""
        return torch.sigmoid(self.fold("a").log_gamma(a, *shape) - self.fold("b").log_gamma(b, *shape))
