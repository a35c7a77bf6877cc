"""Numbers on the device of the batch, sent there once."""

from __future__ import annotations

import torch

from ablation.aug.auto_augment import auto_augment
from ablation.constant import Constant
from ablation.key import Key
from ablation.types import Batch

CPU, META = torch.device("cpu"), torch.device("meta")


def test_it_is_sent_once_and_kept() -> None:
    values = torch.tensor([1.0, 2.0])
    table = Constant(values)
    assert table.on(CPU) is values
    assert table.on(META).device == META
    assert table.on(META) is table.on(META)
    assert table.on(CPU) is values


def test_a_trick_with_tables_is_one_graph_with_lanes_too() -> None:
    aug, words = auto_augment(), torch.stack([Key.root(0).word, Key.root(1).word])
    x = torch.rand(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def one(word: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aug(Batch(x, torch.eye(4), torch.tensor(0.0), torch.zeros(3)), Key(word)).x

    lanes = torch.vmap(one)
    assert torch.equal(lanes(words, x), torch.stack([one(words[0], x[0]), one(words[1], x[1])]))
    assert torch.equal(torch.compile(one, backend="eager", fullgraph=True)(words[0], x[0]), one(words[0], x[0]))
    assert torch.equal(torch.compile(lanes, backend="eager", fullgraph=True)(words, x), lanes(words, x))
