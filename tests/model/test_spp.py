from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ablation.init.zero_gamma import zero_gamma
from ablation.key import Key
from ablation.model.block import Branch
from ablation.model.spp import Pyramid, check_kernels, end_in_pyramid

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
C = 8


def pyramid(*kernels: int) -> Branch:
    branch = Branch(conv=nn.Conv2d(C, C, 3, 1, 1), norm=nn.BatchNorm2d(C))
    end_in_pyramid(branch, C, kernels, nn.BatchNorm2d)
    return branch


@pytest.mark.parametrize("kernels", [(3,), (5,), (7,), (3, 5, 7)])
def test_is_yolos_form_in_functions(kernels: tuple[int, ...], images: Images, scramble: Scramble) -> None:
    ours = pyramid(*kernels)
    scramble(ours)
    state = {name: value.clone() for name, value in ours.state_dict().items()}

    def layer(x: Tensor, conv: str, norm: str, **padding: int) -> Tensor:
        y = F.conv2d(x, state[f"{conv}.weight"], state.get(f"{conv}.bias"), **padding)
        mean, var, weight, bias = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(y, mean, var, weight, bias, training=ours.training)

    def formula(x: Tensor) -> Tensor:
        y = F.silu(layer(layer(x, "conv", "norm", padding=1), "spp_conv1", "spp_norm1"))
        assert y.shape[1] == C // 2
        maxima = []
        for k in kernels:  # the maximum of each window, cut at the edges
            windows = F.unfold(F.pad(y, (k // 2,) * 4, value=-torch.inf), k)
            maxima.append(windows.view(len(y), C // 2, k * k, *y.shape[2:]).amax(2))
        return F.silu(layer(torch.cat([y, *maxima], 1), "spp_conv2", "spp_norm2"))

    for training in (True, False):
        torch.testing.assert_close(ours.train(training)(images(4, C, 8)), formula(images(4, C, 8)))


def test_a_window_may_be_larger_than_the_map(images: Images) -> None:
    out = Pyramid([7])(images(2, C, 2))
    assert out.shape == (2, 2 * C, 2, 2)
    assert torch.equal(out[:, C:], images(2, C, 2).amax((2, 3), keepdim=True).expand(-1, -1, 2, 2))


def test_zero_gamma_ends_the_branch_in_zeros_that_learn(images: Images) -> None:
    branch = pyramid(3, 5)
    zero_gamma()(branch, Key.root(0))
    assert not branch(images(4, C, 8)).any()
    branch(images(4, C, 8)).sum().backward()
    assert branch.get_submodule("norm").get_parameter("weight").all()
    assert branch.get_submodule("spp_norm2").get_parameter("weight").grad.any()  # type: ignore[union-attr]


def test_lanes_and_channels_last(images: Images) -> None:
    models = [pyramid(3, 5, 7).to(memory_format=torch.channels_last) for _ in range(2)]
    x = images(4, C, 8).to(memory_format=torch.channels_last)
    params, buffers = stack_module_state(models)
    together = torch.vmap(lambda p, b: functional_call(models[0], ({**p, **b},), (x,)))(params, buffers)
    for i, model in enumerate(models):
        assert model(x).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(together[i], model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ("text", "spp: 'text' is not a list; give different odd numbers from 3 on, such as [3,5,7], or [] for none"),
        (3, "spp: 3 is not a list"),
        ([4], "spp: 4 is not the side of a window around a pixel"),
        ([1], "spp: 1 is not the side of a window"),
        ([3.0], "spp: 3.0 is not the side of a window"),
        ([3, 3], "spp: [3, 3] has a window twice"),
    ],
)
def test_refuses(kernels: list[int], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_kernels(kernels)
    assert str(caught.value).startswith(message)
