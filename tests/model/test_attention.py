from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytorchcv.models.cbamresnet import CbamBlock
from pytorchcv.models.common.arch import Concurrent
from pytorchcv.models.common.conv import conv1x1_block, conv3x3_block
from pytorchcv.models.sknet import SKConvBlock
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ablation.model.attention import SelectiveKernel, WholeMap, attention

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
C, SIDE = 64, 8


def end(kind: str, channels: int = C, side: int = SIDE) -> nn.Module:
    make = attention(kind)
    assert make is not None
    return make(channels, side)


def selective(stride: int = 1) -> SelectiveKernel:
    return SelectiveKernel(C, stride, 4, nn.BatchNorm2d, nn.ReLU)


MAKES = {kind: lambda kind=kind: end(kind) for kind in ("se", "cbam", "ge")} | {"sk": selective}
EACH = [pytest.param(make, id=name) for name, make in MAKES.items()]


def agree(ours: nn.Module, theirs: Callable[[Tensor], Tensor], x: Tensor) -> None:
    for training in (True, False):
        if isinstance(theirs, nn.Module):
            theirs.train(training)
        torch.testing.assert_close(ours.train(training)(x), theirs(x))


def test_se_is_the_papers_formula(images: Images, scramble: Scramble) -> None:
    ours = end("se")
    scramble(ours)
    w1, b1, w2, b2 = (p.flatten(1) if p.ndim > 1 else p for p in ours.parameters())
    assert w1.shape == (C // 16, C)

    def formula(x: Tensor) -> Tensor:
        hidden = F.relu(F.linear(x.flatten(2).mean(2), w1, b1))
        return torch.einsum("nchw,nc->nchw", x, F.linear(hidden, w2, b2).sigmoid())

    agree(ours, formula, images(4, C, SIDE))


def test_cbam_is_pytorchcvs(images: Images, scramble: Scramble) -> None:
    ours, theirs = end("cbam"), CbamBlock(C)
    scramble(ours)
    names = {
        "channel.fc1": "ch_gate.mlp.fc1",
        "channel.fc2": "ch_gate.mlp.fc2",
        "spatial.conv.conv": "sp_gate.conv.conv",
        "spatial.conv.bn": "sp_gate.conv.bn",
    }
    state = {f"{names[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": v for n, v in ours.state_dict().items()}
    state = {n: v.flatten(1) if "fc" in n and v.ndim == 4 else v for n, v in state.items()}
    state["sp_gate.conv.conv.weight"] = state["sp_gate.conv.conv.weight"].flip(1)  # theirs: maximum, then mean
    theirs.load_state_dict(state)
    agree(ours, theirs, images(4, C, SIDE))


def test_ge_is_the_definition_in_functions(images: Images, scramble: Scramble) -> None:
    ours = end("ge")
    scramble(ours)
    state = {n: v.clone() for n, v in ours.state_dict().items()}
    kernel, gamma, beta, mean, var, _, w1, w2 = state.values()
    assert kernel.shape == (C, 1, SIDE, SIDE)

    def formula(x: Tensor) -> Tensor:
        gathered = F.conv2d(x, kernel, groups=C)
        gathered = F.batch_norm(gathered, mean, var, gamma, beta, training=ours.training)
        gate = F.conv2d(F.relu(F.conv2d(gathered, w1)), w2)
        return x * F.interpolate(gate, size=(SIDE, SIDE)).sigmoid()

    agree(ours, formula, images(4, C, SIDE))


def test_ge_fits_one_size(images: Images) -> None:
    with pytest.raises(ValueError, match=r"^size: this network was made for maps of \(8, 8\) px"):
        end("ge")(images(2, C, 9))


@pytest.mark.parametrize("stride", [1, 2])
def test_sk_is_pytorchcvs_with_the_kernels_for_small_images(stride: int, images: Images, scramble: Scramble) -> None:
    ours, theirs = selective(stride), SKConvBlock(C, C, stride, reduction=32)
    theirs.branches = Concurrent(stack=True)
    theirs.branches.add_module("one", conv1x1_block(in_channels=C, out_channels=C, stride=stride, groups=4))
    theirs.branches.add_module("three", conv3x3_block(in_channels=C, out_channels=C, stride=stride, groups=4))
    scramble(ours)
    both = zip(theirs.state_dict().items(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict({name: value.view_as(like) for (name, like), value in both})
    agree(ours, theirs, images(4, C, SIDE))


def test_whole_map_is_its_convolution(images: Images) -> None:
    ours, theirs = WholeMap(5, 6), nn.Conv2d(5, 5, 6, groups=5, bias=False)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(images(2, 5, 6)), theirs(images(2, 5, 6)))


@pytest.mark.parametrize("make", EACH)
def test_lanes_channels_last_bf16_and_one_graph(make: Callable[[], nn.Module], images: Images) -> None:
    models = [make() for _ in range(2)]
    x = images(8, C, SIDE).to(memory_format=torch.channels_last)
    params, buffers = stack_module_state(models)
    together = torch.vmap(lambda p, b: functional_call(models[0], ({**p, **b},), (x,)))(params, buffers)
    for i, model in enumerate(models):
        torch.testing.assert_close(together[i], model(x), rtol=1e-4, atol=1e-5)
    model = models[0].to(memory_format=torch.channels_last)
    expected = model(x)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        assert (model(x).float() - expected).norm() < 0.05 * expected.norm()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


def test_norms_are_the_networks() -> None:
    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, momentum=0.01)

    for kind in ("cbam", "ge"):
        make = attention(kind, norm)
        assert make is not None
        assert [m.momentum for m in make(C, SIDE).modules() if isinstance(m, nn.BatchNorm2d)] == [0.01]
    modules = SelectiveKernel(C, 1, 1, norm, nn.ReLU).modules()
    assert [m.momentum for m in modules if isinstance(m, nn.BatchNorm2d)] == [0.01] * 3


def test_few_channels_leave_a_hidden_unit() -> None:
    for kind in ("se", "cbam", "ge"):
        assert end(kind, 4)(torch.zeros(2, 4, SIDE, SIDE)).shape == (2, 4, SIDE, SIDE)


def test_none_and_refusal() -> None:
    assert attention(None) is None
    with pytest.raises(ValueError, match=r"^attention: there is no 'ses'; did you mean se\?"):
        attention("ses")
