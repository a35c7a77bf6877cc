from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from passes import passed
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from tiny import TINY, config

from ablation.errors import ConfigError
from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.cotrain import Cotrained, cotrain, jensen_shannon
from ablation.trial.parts import parts
from ablation.types import Grad, Model, Penalty, Repeat, Step, Team, Weights

G = torch.Generator().manual_seed(0)
X = torch.randn(6, 1, 8, 8, generator=G)
Y = torch.eye(10)[torch.randint(10, (3,), generator=G)].repeat(2, 1)


def part(kind: type, **arguments: Any) -> Any:
    return next(p for p in cotrain(**arguments) if isinstance(p, kind))


def net(seed: int) -> Model:
    torch.manual_seed(seed)
    return resnet_cifar(classes=10, channels=1, size=8, depth=8, width=0.5)


def term(**arguments: Any) -> Callable[..., torch.Tensor]:
    return part(Penalty, **arguments).attach(net(0))  # type: ignore[no-any-return]


@pytest.mark.parametrize("splits", [2, 3])
def test_the_divergence_is_scipys(splits: int) -> None:
    logits = 3 * torch.randn(splits, 5, 10, generator=G)
    p = logits.double().softmax(2).numpy()
    ours = jensen_shannon(logits).numpy()
    np.testing.assert_allclose(ours, entropy(p.mean(0), axis=1) - entropy(p, axis=2).mean(0), rtol=1e-4, atol=1e-6)
    if splits == 2:
        np.testing.assert_allclose(ours, jensenshannon(p[0], p[1], axis=1) ** 2, rtol=1e-4, atol=1e-6)


def test_each_network_has_the_gradient_that_it_has_alone_on_its_copy() -> None:
    model, alone = Cotrained([net(1), net(2)]), [net(1), net(2)]
    weights = Weights(dict(model.named_parameters()), {}, {})

    def fill() -> Step:
        loss = torch.nn.functional.cross_entropy(model(X), Y)
        loss.backward()
        return Step(loss.detach(), torch.zeros(()))

    part(Grad).wrap(fill, weights)()
    for i, single in enumerate(alone):
        rows = slice(3 * i, 3 * i + 3)
        torch.nn.functional.cross_entropy(single(X[rows]), Y[rows]).backward()
        theirs = {n.replace("head.", f"head.heads.{i}."): p.grad for n, p in single.named_parameters()}
        for name, grad in theirs.items():
            torch.testing.assert_close(weights.grads()[name if "head" in name else f"nets.{i}.{name}"], grad)
    assert len(weights.params) == len(model.state_dict(keep_vars=True).keys() & weights.params.keys())
    assert sum(p.numel() for p in model.parameters()) == 2 * sum(p.numel() for p in alone[0].parameters())


def test_the_mean_of_the_logits_is_evaluated() -> None:
    model, alone = Cotrained([net(1), net(2)]).eval(), [net(1).eval(), net(2).eval()]
    torch.testing.assert_close(model(X), torch.stack([single(X) for single in alone]).mean(0))
    torch.testing.assert_close(model.head(model.features(X)), torch.cat([single(X) for single in alone]))


def test_agreement_rises_to_its_weight() -> None:
    logits = torch.randn(6, 10, generator=G)
    whole = 0.5 / 2 * jensen_shannon(logits.view(2, 3, 10)).mean()
    given = passed(logits, Y)
    for t, share in ((0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)):
        at = given._replace(batch=given.batch._replace(t=torch.tensor(t)))
        torch.testing.assert_close(term(warmup=0.2)(at), share * whole)
    torch.testing.assert_close(term(warmup=0.0)(given), whole)
    assert not any(isinstance(p, Penalty) for p in cotrain(agreement=0))


def test_mixed_targets_are_agreed_on_as_far_as_they_are_alike() -> None:
    logits = torch.randn(6, 10, generator=G)
    y = torch.zeros(6, 10)
    y[:, 0], y[:3, 1], y[3:, 2] = 0.7, 0.3, 0.3
    torch.testing.assert_close(
        term(warmup=0.0)(passed(logits, y)), 0.7 * 0.25 * jensen_shannon(logits.view(2, 3, 10)).mean()
    )


def test_width_is_divided_so_that_parameters_stay() -> None:
    members = part(Team, splits=4).members({"_target_": "a.b", "width": 3.0})
    assert [m["width"] for m in members] == [1.5] * 4
    assert part(Team, divide=False).members({"_target_": "a.b"}) == [{"_target_": "a.b"}] * 2
    assert part(Repeat, splits=4).times == 4
    one, four = (sum(p.numel() for p in resnet_cifar(10, 3, 32, 20, w).parameters()) for w in (1.0, 0.5))
    assert 4 * four == pytest.approx(one, rel=0.05)


def test_a_model_without_width_is_refused() -> None:
    settings = config(*TINY, "regularizer=cotrain")
    del settings["model"]["width"]
    with pytest.raises(ConfigError, match=r"^regularizer\.cotrain\.divide: .* has no `width`.*divide=false"):
        parts(settings)
    settings["regularizer"]["cotrain"]["divide"] = False
    parts(settings)


@pytest.mark.parametrize(
    ("arguments", "named"), [({"splits": 1}, "splits"), ({"agreement": -1.0}, "agreement"), ({"warmup": 2}, "warmup")]
)
def test_refuses(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        cotrain(**arguments)
