"""Draws made ahead: what the coming steps draw is computed for many of them at once, and looked up by each.

Every draw is a pure function of a step's word and of a path of sites (ablation/key.py), so it need not be made when it
is asked for. The first step notes which draws it makes; for those after it they are made in blocks of steps, by the
functions of `Key` themselves under `torch.vmap`, which takes some tens of operators a block instead of a draw. A draw
that was not noted is made as ever. So a trick, whose type knows nothing of this, never sees another value: draws are
made ahead only where one key and many at once give the same bits (`EXACT`); what takes logarithms of them (`normal`,
`beta`) does that in the step. On a GPU a draw costs no launches then, on a CPU a fraction of its time.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ablation.key import Key, Path

EXACT = ("word", "bits", "uniform", "uniforms", "bernoulli", "mask", "integers", "permutation")  # of `Key`
LARGEST = 64 * 2**10  # bytes; of a larger draw (a mask of a feature map, noise of pixels) only the word is made ahead
BLOCK = 8 * 2**20  # bytes that a block's draws may take, of all lanes together; making them takes a few times as many

Draw = tuple[Path, str, tuple[Any, ...]]  # the sites from the step's key on, a name of `EXACT`, its arguments


class Ahead:
    """The draws of a training's steps: noted in the first, then made ahead.

    What is noted are names and sizes, no tensors. The draws of one block are held, and let go with it.
    """

    def __init__(self) -> None:
        self._sizes: dict[Draw, int] = {}  # bytes a step and lane
        self._begun = self._noted = False
        self._words: Tensor | None = None  # of the epoch that the block is of
        self._first, self._block = 0, list[Drawn]()

    def step(self, words: Tensor, i: int) -> Drawn:
        """Step i of an epoch; words (steps[, lanes]) are all its steps'."""
        self._noted, self._begun = self._begun, True
        if not self._noted:
            return Drawn(self, {}, {})
        if words is not self._words or not 0 <= i - self._first < len(self._block):
            self._words, self._first, self._block = words, i, []  # before the next block is made
            self._block = self._made(words[i:])
        return self._block[i - self._first]

    def note(self, draw: Draw, value: Tensor) -> None:
        """What the first step has drawn (one lane's value, if there are any)."""
        path, _, _ = draw
        size = value.numel() * value.element_size()
        if not self._noted:
            self._sizes |= {draw: size} if size <= LARGEST else {(path, "word", ()): 8}

    def _made(self, words: Tensor) -> list[Drawn]:
        """The first of these steps, as many as a block has room for."""
        each = sum(self._sizes.values()) * words[0].numel()
        words = words[: max(BLOCK // max(each, 1), 1)]
        draws = list(self._sizes)
        if not draws:
            return [Drawn(self, {}, {})] * len(words)
        tables = torch.vmap(lambda word: [_draw(Key(word), draw) for draw in draws])(words.flatten())
        versions = {draw: table._version for draw, table in zip(draws, tables, strict=True)}
        # Detached, as a result of `unbind` must not be changed in place where a gradient is taken.
        columns = [[v.detach() for v in t.view(*words.shape, *t.shape[1:]).unbind()] for t in tables]
        return [Drawn(self, dict(zip(draws, row, strict=True)), versions) for row in zip(*columns, strict=True)]


class Drawn:
    """What one step draws, as far as it is made ahead: ([lanes,] ...) each."""

    def __init__(self, ahead: Ahead, values: dict[Draw, Tensor], versions: dict[Draw, int]) -> None:
        self.ahead, self.values, self.versions = ahead, values, versions

    def key(self, word: Tensor, values: dict[Draw, Tensor]) -> Key:
        """The step's key; word and values are one lane's, as the step is called with them."""
        return Ready(_Call(self, word, values), ())

    def untouched(self, draw: Draw) -> bool:
        """Whether nobody has written into this draw, in any step of the block."""
        return self.values[draw]._version == self.versions[draw]


class _Call:
    """One call of the learner: lets go of what it was given when the call is over."""

    __slots__ = ("drawn", "log_odds", "values", "word")

    def __init__(self, drawn: Drawn, word: Tensor, values: dict[Draw, Tensor]) -> None:
        self.drawn, self.word, self.values = drawn, word, values
        self.log_odds: dict[Draw, Tensor] = {}

    def draw(self, path: Path, name: str, *args: Any) -> Tensor:
        draw = (path, name, args)
        found = self._found(draw)
        if found is not None:
            return found
        word = self._found((path, "word", ())) if name != "word" else None
        made = _draw(Key(self.word), draw) if word is None else _draw(Key(word), ((), name, args))
        self.drawn.ahead.note(draw, made)
        return made

    def _found(self, draw: Draw) -> Tensor | None:
        found = self.values.get(draw)
        return found if found is not None and self.drawn.untouched(draw) else None


class Ready(Key):
    """A key whose draws are looked up; those that are not there are made.

    A trick need not know that its draws are looked up: the values are the same, and one written into is made anew the
    next time.
    """

    __slots__ = ("_call", "_path")

    def __init__(self, call: _Call, path: Path) -> None:
        self._call, self._path = call, path

    @property
    def word(self) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "word") if self._path else self._call.word

    def fold(self, site: str | int | Tensor) -> Key:
        """As of `Key`; those of a tensor are made."""
        return Ready(self._call, (*self._path, site)) if isinstance(site, str | int) else super().fold(site)

    def bits(self, *shape: int) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "bits", *shape)

    def uniform(self, *shape: int) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "uniform", *shape)

    def uniforms(self, paths: tuple[Path, ...], *shape: int) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "uniforms", paths, *shape)

    def bernoulli(self, p: float | Tensor, *shape: int) -> Tensor:
        """As of `Key`; with a tensor its uniform draws are looked up."""
        if isinstance(p, Tensor):
            return super().bernoulli(p, *shape)
        return self._call.draw(self._path, "bernoulli", p, *shape)

    def mask(self, p: float, *shape: int) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "mask", p, *shape)

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """As of `Key`; with a tensor its uniform draws are looked up."""
        if isinstance(high, Tensor):
            return super().integers(high, *shape)
        return self._call.draw(self._path, "integers", high, *shape)

    def permutation(self, n: int) -> Tensor:
        """As of `Key`."""
        return self._call.draw(self._path, "permutation", n)

    def _log_odds(self, paths: tuple[Path, ...], a: float, b: float, *shape: int) -> Tensor:
        """Once a call: layers of one site ask for the same."""
        draw = (self._path, "log_odds", (paths, a, b, *shape))
        if draw not in self._call.log_odds:
            self._call.log_odds[draw] = super()._log_odds(paths, a, b, *shape)
        return self._call.log_odds[draw]


def _draw(key: Key, draw: Draw) -> Tensor:
    path, name, args = draw
    for site in path:
        key = key.fold(site)
    return cast("Tensor", key.word if name == "word" else getattr(key, name)(*args))
