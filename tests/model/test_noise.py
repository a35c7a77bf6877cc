from collections.abc import Callable

import pytest
import torch
from timm.layers.drop import drop_path
from torch import Tensor, nn

from ablation.key import Key
from ablation.model.resnet_cifar import resnet_cifar
from ablation.regularizer.dropout import Dropout, dropout
from ablation.regularizer.stochastic_depth import StochasticDepth, stochastic_depth
from ablation.types import Model, Noise, Noisy, Wrap

Images = Callable[..., Tensor]


def set_words(model: nn.Module, key: Key) -> None:
    for name, module in model.named_modules():
        if isinstance(module, Noisy):
            module.word = key.fold(name).word


def net(noise: Noise, preact: bool = False) -> Model:
    torch.manual_seed(0)
    return resnet_cifar(10, 3, 32, depth=8, preact=preact, join=noise.join, drop=noise.drop)


def residual(p: float) -> Noise:
    noise = dropout(p)
    assert isinstance(noise, Noise)
    return noise


def join(last_survival: float, scale: str, per: str) -> StochasticDepth:
    make = stochastic_depth(last_survival, scale, per).join
    assert make is not None
    layer = make(1, 1)
    assert isinstance(layer, StochasticDepth)
    return layer


def test_survival_falls_linearly_to_the_last_block() -> None:
    make = stochastic_depth().join
    assert make is not None
    layers = [make(block, 54) for block in range(1, 55)]  # the paper's 110 layers
    survivals = [layer.survival for layer in layers if isinstance(layer, StochasticDepth)]
    assert survivals == pytest.approx([1 - block / 108 for block in range(1, 55)])
    assert sum(survivals) == pytest.approx(40.25)  # section 3: "approximately 40 ResBlocks"


@pytest.mark.parametrize("per", ["batch", "sample"])
@pytest.mark.parametrize("scale", ["test", "train"])
def test_stochastic_depth_keeps_with_its_probability(scale: str, per: str) -> None:
    layer, ones = join(0.7, scale, per), torch.ones(50, 1, 1, 1)
    drawn = []
    for step in range(400):
        set_words(layer, Key.root(step))
        drawn.append(layer(torch.zeros_like(ones), ones).flatten())
    values = torch.stack(drawn)
    gain = 1.0 if scale == "test" else 1 / 0.7
    assert values.unique().tolist() == pytest.approx([0.0, gain])
    assert bool((values.std(1) == 0).all()) == (per == "batch")
    spread = (0.7 * 0.3 / (400 if per == "batch" else 20000)) ** 0.5
    assert values.bool().float().mean().item() == pytest.approx(0.7, abs=4 * spread)
    evaluated = layer.eval()(torch.zeros_like(ones), ones)
    assert evaluated.mean().item() == pytest.approx(0.7 * gain)  # the expectation of training


def test_stochastic_depth_per_sample_and_train_is_timms() -> None:
    layer, x, shortcut = join(0.5, "train", "sample"), torch.randn(64, 3, 2, 2), torch.randn(64, 3, 2, 2)
    set_words(layer, Key.root(3))
    ours = layer(shortcut, x) - shortcut
    theirs = drop_path(x, 0.5, training=True)
    kept, their_kept = ours.flatten(1).any(1), theirs.flatten(1).any(1)
    both = kept & their_kept
    assert both.any()
    torch.testing.assert_close(ours[both], theirs[both])
    assert torch.equal(layer.eval()(shortcut, x), shortcut + drop_path(x, 0.5, training=False))


def test_dropped_block_gets_no_gradient(images: Images) -> None:
    model = net(stochastic_depth(0.01))
    branch = model.get_submodule("blocks.2.branch")
    set_words(model, Key.root(0))
    model(images()).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in branch.parameters())


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_drops_and_keeps_the_mean(p: float) -> None:
    layer, x = Dropout(p), torch.ones(64, 16, 8, 8)
    set_words(layer, Key.root(0))
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5)
    assert torch.equal(layer.eval()(x), x)


def test_dropout_keeps_channels_last() -> None:
    x = torch.ones(4, 16, 8, 8).to(memory_format=torch.channels_last)
    assert Dropout(0.5)(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize(
    "noise", [residual(0.0), stochastic_depth(1.0, "test", "batch"), stochastic_depth(1.0, "train", "sample")]
)
def test_nothing_dropped_is_the_same_network(noise: Noise, preact: bool, images: Images) -> None:
    plain, noisy = net(Noise(), preact), net(noise, preact)
    set_words(noisy, Key.root(0))
    for training in (True, False):
        assert torch.equal(plain.train(training)(images()), noisy.train(training)(images()))


@pytest.mark.parametrize("noise", [residual(0.5), stochastic_depth(0.5)])
def test_noise_hangs_on_the_key_alone(noise: Noise, images: Images) -> None:
    model = net(noise)
    outputs: list[Tensor] = []
    for seed in (0, 0, 1):
        set_words(model, Key.root(seed))
        torch.manual_seed(len(outputs))
        outputs.append(model(images()))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("noise", [residual(0.5), stochastic_depth(0.5)])
def test_evaluation_draws_nothing(noise: Noise, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(noise).eval()
    expected = model(images())
    monkeypatch.setattr(Noisy, "key", property(lambda _: pytest.fail("drew in evaluation")))
    assert torch.equal(model(images()), expected)


@pytest.mark.parametrize("place", ["features", "logits"])
def test_dropout_around_the_head(place: str, images: Images) -> None:
    plain, wrap = net(Noise()), dropout(0.5, place)
    assert isinstance(wrap, Wrap)
    model = wrap.apply(net(Noise()))
    set_words(model, Key.root(0))
    features = plain.features(images())
    plain(images())
    mask = Dropout(0.5)
    mask.word = Key.root(0).fold(f"head.{0 if place == 'features' else 1}").word
    expected = plain.head(mask(features)) if place == "features" else mask(plain.head(features))
    torch.testing.assert_close(model(images()), expected)
    model(images())  # as often as the plain one, for the running statistics
    assert torch.equal(model.eval()(images()), plain.eval()(images()))


def test_refuses() -> None:
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"^p: .* is not in \[0, 1\)"):
            dropout(p)
    with pytest.raises(ValueError, match=r"^place: there is no 'feature'; did you mean features"):
        dropout(place="feature")
    with pytest.raises(ValueError, match=r"^last_survival: 0 is not in"):
        stochastic_depth(0)
    with pytest.raises(ValueError, match=r"^scale: there is no 'eval'; valid: test, train"):
        stochastic_depth(scale="eval")
    with pytest.raises(ValueError, match=r"^per: there is no 'row'; valid: batch, sample"):
        stochastic_depth(per="row")
