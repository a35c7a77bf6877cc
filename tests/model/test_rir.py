from collections.abc import Callable

import pytest
import pytorchcv.models.rir_cifar as theirs_rir
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.build import build
from ablation.errors import ConfigError
from ablation.model.block import residual_blocks
from ablation.model.rir import Streams, rir
from ablation.regularizer.logit_bn import logit_bn
from ablation.types import Wrap

Images = Callable[..., Tensor]
Scramble = Callable[[nn.Module], None]
CONTEXT = {"classes": 10, "channels": 3, "size": 32}
TARGET = {"_target_": "ablation.model.rir.rir"}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_has_pytorchcvs_parameters() -> None:
    with torch.device("meta"):
        assert count(rir(10, 3, 32)) == count(theirs_rir.rir_cifar10()) == 9492980
        assert count(rir(100, 3, 32)) == count(theirs_rir.rir_cifar100())


def test_has_the_published_rows_parameters_with_its_head_and_biases() -> None:
    """CIFAR tricks README, counted from its code: 10.294 M."""
    with torch.device("meta"):
        model = rir(10, 3, 32)
    biases = sum(m.out_channels for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and "head" not in n)
    biases += sum(2 * m.out for m in model.modules() if isinstance(m, Streams))  # two convolutions into each stream
    head = 384 * 100 * 9 + 100 + 2 * 100  # 3x3 to 100 maps, with bias and norm
    head += 900 * 450 + 450 + 450 * 100 + 100  # a hidden layer
    assert f"{(count(model) - count(model.head) + biases + head) / 1e6:.3f}" == "10.294"


def joined(theirs: nn.Module, ours: nn.Module) -> dict[str, Tensor]:
    """Their state under our names: two streams side by side."""
    state = theirs.state_dict()

    def beside(first: str, second: str, norm: str) -> list[Tensor]:
        names = [n.removeprefix(first + norm) for n in state if n.startswith(first + norm)]
        return [
            state[first + norm + n]
            if "tracked" in n
            else torch.cat((state[first + norm + n], state[second + norm + n]))
            for n in names
        ]

    init = "features.init_block."
    found = [torch.cat([state[f"{init}{s}_conv.conv.weight"] for s in ("res", "trans")])]
    found += beside(f"{init}res_conv.", f"{init}trans_conv.", "bn.")
    units = dict.fromkeys(name.rpartition("res_pass")[0] for name in state if "res_pass" in name)
    for unit in units:
        w = {
            name: state[f"{unit}{name}_conv.weight"] for name in ("res_pass", "res_cross", "trans_pass", "trans_cross")
        }
        to_residual = torch.cat((w["res_pass"], w["trans_cross"]), 1)
        found.append(torch.cat((to_residual, torch.cat((w["res_cross"], w["trans_pass"]), 1))))
        found += [state[name] for name in (f"{unit}identity_conv.weight",) if name in state]
        found += beside(f"{unit}res_", f"{unit}trans_", "postactiv.bn.")
    found += [value for name, value in state.items() if name.startswith("output.")]
    return dict(zip(ours.state_dict(), found, strict=True))


@pytest.mark.parametrize("training", [False, True])
def test_computes_what_pytorchcv_computes(training: bool, images: Images, scramble: Scramble) -> None:
    channels = [[6] * 4, [12] * 6, [24] * 6]
    theirs, ours = theirs_rir.CIFARRiR(channels, 6, 48), rir(10, 3, 32, width=6)
    scramble(theirs)
    ours.load_state_dict(joined(theirs, ours))
    torch.testing.assert_close(ours.train(training)(images()), theirs.train(training)(images()))
    for mine, other in zip(ours.state_dict().values(), joined(theirs, ours).values(), strict=True):
        torch.testing.assert_close(mine, other)  # running statistics too


@pytest.mark.parametrize("number", [3, 4])
def test_a_layer_is_the_papers(number: int, images: Images, scramble: Scramble) -> None:
    model = rir(10, 3, 32, width=2).eval()
    scramble(model)
    layer = residual_blocks(model)[number]
    assert isinstance(layer, Streams)
    x, out, stride = images(channels=4, size=8), layer.out, 1 if number == 3 else 2
    (r, t), w, p = x.chunk(2, 1), layer.conv.weight, layer.norm.state_dict()

    def conv(maps: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(maps, weight, stride=stride, padding=1)

    carried = r if number == 3 else F.conv2d(r, layer.shortcut.get_parameter("weight"), stride=2)
    streams = conv(r, w[:out, :2]) + conv(t, w[:out, 2:]) + carried, conv(r, w[out:, :2]) + conv(t, w[out:, 2:])
    for i, stream in enumerate(streams):
        own = slice(i * out, (i + 1) * out)
        parts = [p[name][own] for name in ("running_mean", "running_var", "weight", "bias")]
        torch.testing.assert_close(layer(x)[:, own], F.batch_norm(stream, *parts).relu())


@pytest.mark.parametrize(("channels", "size", "classes", "stem"), [(1, 33, 100, "3x3/1"), (3, 64, 10, "7x7/2+maxpool")])
@pytest.mark.parametrize("shortcut", ["pad", "1x1"])
def test_shapes(channels: int, size: int, classes: int, stem: str, shortcut: str) -> None:
    with torch.device("meta"):
        model = rir(classes, channels, size, 3.4, stem, shortcut)
        x = torch.zeros(2, channels, size, size)
    side = 9 if size == 33 else 4
    assert model.features(x).shape == (2, 2 * 14 * side**2)
    assert model(x).shape == (2, classes)


def test_head_takes_the_mean_of_the_features_pixels(images: Images, scramble: Scramble) -> None:
    """In evaluation the mean and the convolution commute."""
    model = rir(10, 3, 32, width=4).eval()
    scramble(model)
    maps = model.features(images()).reshape(4, 64, 32)
    assert torch.equal(
        maps.movedim(2, 1).reshape(4, 32, 8, 8), model.get_submodule("blocks")(model.get_submodule("stem")(images()))
    )
    torch.testing.assert_close(model.head(maps.mean(1)), model(images()))


def test_regularizers_that_need_a_linear_head_refuse_it() -> None:
    wrap = logit_bn()
    assert isinstance(wrap, Wrap)
    with pytest.raises(ValueError, match="the head of RiR has no linear layer"), torch.device("meta"):
        wrap.apply(rir(10, 3, 32, width=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "model.width: 0 leaves no channel; use at least 1"),
        ({"slope": 0.1}, "model.slope: relu has none"),
        ({"shortcut": "A"}, "model.shortcut: there is no 'A'"),
        ({"bn_momentum": 0}, "model.bn_momentum: 0 is not in (0, 1]"),
        ({"stem": "5x5"}, "model.stem: there is no '5x5'"),
    ],
)
def test_refuses_with_the_way_out(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        build({**TARGET, **arguments}, "model", **CONTEXT)
    assert str(caught.value).startswith(message)


def test_refuses_images_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"^stem: 3x3/1 needs images of at least 4 px, these have 3"):
        rir(10, 3, 3)
