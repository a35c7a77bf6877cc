"""How the trainer runs a model: in lanes under vmap, compiled, channels-last, in bf16. Of every kind a small one.

All options at their full size are in the slow suite. That they build on the meta device is seen in test_every.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from networks import arguments, network, small
from tiny import SMALL, options
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.dropout import dropout
from ablation.regularizer.stochastic_depth import stochastic_depth
from ablation.types import Model, Noise, Noisy, Wrap

Images = Callable[..., Tensor]
Make = Callable[[], Model]


def noisy(per: str, preact: bool) -> Model:
    drop, head = dropout(0.3), dropout(0.3, "features")
    assert isinstance(drop, Noise)
    assert isinstance(head, Wrap)
    noise = stochastic_depth(0.5, per=per)
    return head.apply(resnet_cifar(10, 3, 16, depth=8, preact=preact, join=noise.join, drop=drop.drop))


def option(name: str, changed: dict[str, Any] | None = None) -> Model:
    torch.manual_seed(0)
    return network(name, **(changed or {}))


# In every run of the tests what is ours and noisy is traced: it takes seconds of a processor each.
TRACE = {"v1 noisy", "v2 noisy", "small resnext_cifar", "small pyramidnet", "small vit"}
# Attention hands maps back with pixels, not channels, side by side; the next convolution turns them.
TURNED = {"ablation.model.coatnet.coatnet", "ablation.model.mobilevit.mobilevit"}
CHEAPER = {"resnet18": {"stem": "3x3/2"}}
MAKES: dict[str, Make] = {
    "v1 noisy": lambda: noisy("sample", preact=False),
    "v2 noisy": lambda: noisy("batch", preact=True),
    **{f"small {name}": partial(option, name, small(name) | CHEAPER.get(name, {})) for name in SMALL},
}
FULL = [pytest.param(partial(option, name), id=name, marks=pytest.mark.slow) for name in options("model")]
ALL = [*[pytest.param(make, id=name) for name, make in MAKES.items()], *FULL]
TRACED = [pytest.param(make, id=name, marks=() if name in TRACE else pytest.mark.slow) for name, make in MAKES.items()]


def words(model: Model, key: Key) -> dict[str, Tensor]:
    return {f"{n}.word": key.fold(n).word for n, m in model.named_modules() if isinstance(m, Noisy)}


@pytest.mark.parametrize("make", ALL)
def test_lanes_equal_single_models(make: Make, images: Images) -> None:
    """In float64, for batch norm makes much of rounding."""
    models = [make().double() for _ in range(2)]
    inputs = torch.stack([images(2, seed=i).double() for i in range(2)])
    params, buffers = stack_module_state(models)
    keys = torch.stack([Key.root(i).word for i in range(2)])

    def loss(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, key: Tensor) -> Tensor:
        out: Tensor = functional_call(models[0], ({**params, **buffers, **words(models[0], Key(key))},), (x,))
        return out.square().sum()

    together = torch.vmap(loss)(params, buffers, inputs, keys)
    together.sum().backward()  # type: ignore[no-untyped-call]
    for i, model in enumerate(models):
        own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        alone = functional_call(model, ({**own, **words(model, Key(keys[i]))},), (inputs[i],)).square().sum()
        alone.backward()
        torch.testing.assert_close(together[i], alone)
        for name, p in model.named_parameters():
            grad = params[name].grad
            assert p.grad is not None
            assert grad is not None
            torch.testing.assert_close(grad[i], p.grad, rtol=1e-6, atol=1e-9, msg=name)
        for name, b in model.named_buffers():
            torch.testing.assert_close(buffers[name][i], b, msg=name)


@pytest.mark.parametrize("make", TRACED)
def test_is_one_graph(make: Make, images: Images) -> None:
    with torch.no_grad():  # the graph of the gradients takes as long again
        check_compiled(make(), images(), "aot_eager")


@pytest.mark.parametrize("make", FULL)
def test_is_one_graph_with_gradients(make: Make, images: Images) -> None:
    check_compiled(make(), images(), "aot_eager")


@pytest.mark.slow  # Inductor builds C++ code
def test_compiled_is_the_same(images: Images) -> None:
    check_compiled(noisy("sample", preact=False), images(8), "inductor")


def check_compiled(model: Model, x: Tensor, backend: str) -> None:
    """One graph, with the same outputs, running statistics and, if there are any, gradients."""
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    state = {n: v.clone() for n, v in model.state_dict().items()}
    expected = ends(model, model, x)
    model.load_state_dict(state)
    for name, value in ends(model, compiled, x).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)
    torch.compiler.reset()


def ends(model: Model, call: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Tensor]:
    """What a training pass gives and changes."""
    logits = call(x)
    found = {"logits": logits.detach().clone(), **{n: b.clone() for n, b in model.named_buffers()}}
    if torch.is_grad_enabled():
        names, params = zip(*model.named_parameters(), strict=True)
        grads = torch.autograd.grad(logits.square().mean(), params)
        found |= {f"gradient of {n}": g for n, g in zip(names, grads, strict=True)}
    return found


@pytest.mark.parametrize("make", ALL)
def test_stays_channels_last(make: Make, images: Images, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.removeprefix("small ")
    turned = name in options("model") and arguments(name)["_target_"] in TURNED
    model, x = make(), images(16).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = model.features(x)
        model.to(memory_format=torch.channels_last)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.register_forward_hook(gives_channels_last)
                if not turned:
                    module.register_forward_pre_hook(has_channels_last)
        torch.testing.assert_close(model.features(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", ALL)
def test_bf16(make: Make, images: Images) -> None:
    """Rounding each result moves the features little more than rounding the images and the weights alone, once.

    How far that is, is the network's: batch norm makes much of it where its maps hardly vary.
    """
    model, x = make(), images(16)
    with torch.no_grad():
        expected = model.features(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert model(x).dtype == torch.bfloat16
            error = (model.features(x).float() - expected).norm()
        for p in model.parameters():
            p.copy_(p.bfloat16())
        least = (model.features(x.bfloat16().float()) - expected).norm()
    assert error < 4 * least  # measured: 1 to 2.8


def gives_channels_last(module: object, given: tuple[Tensor, ...], out: Tensor) -> None:
    assert out.is_contiguous(memory_format=torch.channels_last), module


def has_channels_last(module: object, given: tuple[Tensor, ...]) -> None:
    """Of some channels of a map it is enough that they lie side by side; a map of one pixel has no order."""
    x = given[0]
    assert x.stride(1) == 1 or x.shape[1] == 1 or x.shape[2:].numel() == 1, module
