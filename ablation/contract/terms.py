"""Losses and penalties: one pass in, one number out."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from ablation.contract.sample import PROGRESS, key
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject, distribution
from ablation.key import Key
from ablation.types import Batch, Model, Pass, Taught, Term

TERM = "Term = (Pass) -> () float32, a mean over the batch"
_SURE = (0.0, 8.0, -8.0)  # added to the logits of the targets: a network as it is, one that is right, one that is wrong
TAUGHT = "Taught: term(Pass, the teacher's logits (N, K)) -> () float32"


def passed(model: Model, batch: Batch, clean: Batch) -> Pass:
    """One forward pass of a batch, as the learner makes it."""

    def normalise(x: Tensor) -> Tensor:
        return (x - 0.5) / 0.25

    def again(images: Tensor, key: Key) -> tuple[Tensor, Tensor]:
        features = model.features(images)
        return features, model.head(features)

    images = normalise(batch.x)
    features, logits = again(images, key())
    return Pass(features, logits, batch, clean, images, model, again, normalise, key())


def check_term(subject: Subject, term: Term | Taught, given: Pass, penalty: bool = False) -> None:
    """Try a term. A penalty may be a constant 0, as one with the weight 0 is.

    Raises:
        ConfigError: it breaks its contract.
        Raised: it raises an exception, which may be because the model is not the configured one.
    """
    answer = torch.linspace(-2, 2, given.logits.numel()).reshape(given.logits.shape).flip(1)
    function: Any = term.term if isinstance(term, Taught) else term
    arguments = (given, answer) if isinstance(term, Taught) else (given,)
    subject.takes(function, *("given", "logits")[: len(arguments)])
    if isinstance(term, Taught) and term.relabel is not None:
        _check_relabel(subject, term.relabel, answer)
    held = {"logits": given.logits, "features": given.features, "images": given.images, "batch.x": given.batch.x}
    held |= {"batch.y": given.batch.y, "clean.x": given.clean.x, "clean.y": given.clean.y}
    kept = {name: tensor.detach().clone() for name, tensor in held.items()}

    def call(i: int) -> Tensor:
        out = subject.call(function, *arguments)
        for name, before in kept.items():
            subject.unchanged(name, held[name].detach(), before)
        return _checked(subject, out, penalty)

    (out,) = subject.twice(call)
    if out.requires_grad:
        own = term.parameters() if isinstance(term, nn.Module) else ()
        learnt = [p for p in (*given.model.parameters(), *own) if p.requires_grad]
        _check_gradient(subject, lambda given: function(given, *arguments[1:]), given, out, learnt)


def _checked(subject: Subject, out: Any, penalty: bool) -> Tensor:
    wanted = "one number: Tensor () float32, with a gradient"
    if not isinstance(out, Tensor):
        host = " (was it read by .item() or float()?)" if isinstance(out, int | float) else ""
        raise subject.breach(f"returned {a(out)}, not a tensor{host}", returned=shown(out), wanted=wanted)
    if out.dim():
        mean = "the mean over the batch: .mean()"
        raise subject.breach(f"returned a tensor of the shape {tuple(out.shape)}", returned=shown(out), wanted=mean)
    subject.tensor("the loss", out, (), wanted)
    if not out.requires_grad and not (penalty and float(out) == 0):
        way = "a number that depends on the logits, the features or the weights: without .detach() or torch.no_grad()"
        raise subject.breach("returned a number without a gradient: nothing is learnt from it", wanted=way)
    return out


def _check_gradient(subject: Subject, term: Term, given: Pass, out: Tensor, learnt: list[Tensor]) -> None:
    """It can be followed, and is not 0 throughout: neither for what the network answers here nor for any other answer.

    Some losses rightly have none of answers that are right, or wrong, or at a moment of the training.
    """

    def gradients(loss: Tensor) -> list[Tensor]:
        of = partial(torch.autograd.grad, retain_graph=True, allow_unused=True)
        return [g for g in subject.call(of, loss, learnt) if g is not None]

    found = gradients(out)
    told = {"returned": shown(out), "wanted": "a finite number whose gradient is finite, and not 0 for every answer"}
    if not all(g.isfinite().all() for g in found):
        way = "sqrt(x) and norms where x is 0, or torch.where over a branch that is not finite: add an eps inside"
        raise subject.breach("returned a number whose gradient is not finite", **told, likely=way)
    if float(out.detach()) == 0 or any(map(torch.count_nonzero, found)):
        return
    for t, sure in product(PROGRESS, _SURE):
        other = given._replace(
            logits=given.logits + sure * given.batch.y, batch=given.batch._replace(t=torch.tensor(t))
        )
        if any(map(torch.count_nonzero, gradients(subject.call(term, other)))):
            return
    raise subject.breach("returned a number whose gradient is 0: nothing is learnt from it", **told)


def _check_relabel(subject: Subject, relabel: Any, answer: Tensor) -> None:
    subject.takes(relabel, "logits")

    def call(i: int) -> Tensor:
        given = answer.clone()
        out = subject.call(relabel, given)
        subject.unchanged("the teacher's logits", given, answer)
        wanted = f"targets {tuple(answer.shape)} whose rows sum to one"
        targets = subject.tensor("targets", out, tuple(answer.shape), wanted)
        if not distribution(targets):
            raise subject.breach("returned targets that are no distribution", returned=shown(out), wanted=wanted)
        return targets

    subject.twice(call)


def term_lanes_trouble(term: Term | Taught, given: Pass) -> str:
    """How it fails with seeds fused, which is under `torch.vmap`; nothing if it does not."""
    answer = torch.zeros_like(given.logits)

    def one(features: Tensor, logits: Tensor, x: Tensor, y: Tensor, word: Tensor) -> Tensor:
        lane = given._replace(features=features, logits=logits, images=x, key=Key(word))
        lane = lane._replace(batch=given.batch._replace(y=y))
        out: Tensor = term.term(lane, answer) if isinstance(term, Taught) else term(lane)
        return out

    with torch.no_grad():
        lanes = (given.features, given.logits, given.images, given.batch.y, given.key.word)
        try:
            torch.vmap(one, randomness="different")(*(tensor[None] for tensor in lanes))
        except Exception as e:
            return " ".join(str(e).split())
    return ""
