"""How the trainer runs a model: in lanes under vmap, compiled, channels-last with bf16, on the meta device."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from ablation.key import Key
from ablation.model.resnet import resnet
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


MAKES = {
    "v1": lambda: resnet_cifar(10, 3, 16, depth=8, shortcut="1x1"),
    "v2": lambda: resnet_cifar(10, 3, 16, depth=8, preact=True, act="silu"),
    "v1 noisy": lambda: noisy("sample", preact=False),
    "v2 noisy": lambda: noisy("batch", preact=True),
}
SMALL = [pytest.param(make, id=name) for name, make in MAKES.items()]
ALL = [*SMALL, pytest.param(lambda: resnet(10, 3, 16, stem="3x3/2"), id="resnet18")]


def words(model: Model, key: Key) -> dict[str, Tensor]:
    return {f"{n}.word": key.fold(n).word for n, m in model.named_modules() if isinstance(m, Noisy)}


@pytest.mark.parametrize("make", ALL)
def test_lanes_equal_single_models(make: Make, images: Images) -> None:
    """In float64, for batch norm makes much of rounding."""
    models = [make().double() for _ in range(2)]
    inputs = torch.stack([images(4, size=16, seed=i).double() for i in range(2)])
    params, buffers = stack_module_state(models)
    keys = torch.stack([Key.root(i).word for i in range(2)])

    def loss(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, key: Tensor) -> Tensor:
        out: Tensor = functional_call(models[0], ({**params, **buffers, **words(models[0], Key(key))},), (x,))
        return out.square().sum()

    together = torch.vmap(loss)(params, buffers, inputs, keys)
    together.sum().backward()
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


@pytest.mark.parametrize("make", ALL)
def test_is_one_graph(make: Make, images: Images) -> None:
    check_compiled(make(), images(8, size=16), "aot_eager")


@pytest.mark.slow  # Inductor builds C++ code
def test_compiled_is_the_same(images: Images) -> None:
    check_compiled(noisy("sample", preact=False), images(8, size=16), "inductor")


def check_compiled(model: Model, x: Tensor, backend: str) -> None:
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    state = {n: v.clone() for n, v in model.state_dict().items()}
    expected = model(x)
    model.load_state_dict(state)
    torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize("make", ALL)
def test_channels_last_and_bf16(make: Make, images: Images) -> None:
    model, x = make(), images(16, size=16).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = model.features(x)
        model.to(memory_format=torch.channels_last)
        for module in model.modules():
            module.register_forward_hook(is_channels_last)
        torch.testing.assert_close(model.features(x), expected, rtol=1e-4, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            assert model(x).dtype == torch.bfloat16
            error = (model.features(x).float() - expected).norm() / expected.norm()
    assert error < 0.05


def is_channels_last(module: object, args: object, out: Tensor) -> None:
    assert out.ndim != 4 or out.is_contiguous(memory_format=torch.channels_last), module


@pytest.mark.parametrize("make", ALL)
def test_builds_on_meta(make: Make) -> None:
    with torch.device("meta"):
        model = make()
    assert all(t.is_meta for t in model.state_dict().values())
