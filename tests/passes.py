"""Forward passes made by hand, for terms to look at."""

from __future__ import annotations

import torch
from torch import Tensor

from ablation.key import Key
from ablation.types import Batch, Model, Pass, Term


class Nothing(Model):
    """A term may look at the model; these do not."""

    def features(self, x: Tensor) -> Tensor:
        return x


def passed(logits: Tensor, y: Tensor, t: float = 0.0, second: Tensor | None = None) -> Pass:
    """A pass with these logits and targets at time t; another pass has the logits `second`."""
    x = torch.zeros(len(y), 1, 1, 1)
    batch = Batch(x, y, torch.tensor(t), torch.zeros(1))

    def again(images: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        assert second is not None, "asked for another pass"
        return second, second

    return Pass(logits, logits, batch, batch, x, Nothing(), again, lambda x: x, Key.root(0))


def sample(n: int = 32, k: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, hard targets, and soft targets."""
    g = torch.Generator().manual_seed(0)
    logits, labels = 5 * torch.randn(n, k, generator=g), torch.randint(k, (n,), generator=g)
    return logits, torch.eye(k)[labels], torch.rand(n, k, generator=g).softmax(1)


def value_and_gradient(term: Term, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """What a term says of these logits, and its slope there."""
    leaf = logits.clone().requires_grad_()
    loss = term(passed(leaf, y))
    loss.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def same_bits(one: Term, other: Term) -> None:
    """Both say the same of hard and of soft targets, with the same gradients, bit for bit."""
    logits, hard, soft = sample()
    for y in (hard, soft):
        for a, b in zip(value_and_gradient(one, logits, y), value_and_gradient(other, logits, y), strict=True):
            assert torch.equal(a, b)
