"""Losses and penalties: one pass in, one number out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablation.contract.sample import key
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject, distribution
from ablation.key import Key
from ablation.types import Batch, Model, Pass, Taught, Term

TERM = "Term = (Pass) -> () float32, a mean over the batch"
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

    subject.twice(call)


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
