from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablation.model.cvt import cvt
from ablation.state import kinds

Images = Callable[..., Tensor]
SMALL: dict[str, Any] = {"dims": (8, 12, 16), "depths": (1, 2, 1), "heads": (1, 3, 4)}
PAPER: dict[str, Any] = {"kernel": 7, "pool": "token"}


def test_has_the_papers_and_the_notes_parameters() -> None:
    with torch.device("meta"):
        paper, notes = cvt(1000, 3, 224, **PAPER), cvt(10, 3, 32)
    assert sum(p.numel() for p in paper.parameters()) / 1e6 == pytest.approx(20.0, rel=0.01)  # table 3
    tensors = notes.state_dict().values()
    assert sum(t.numel() for t in tensors) * 4 / 2**20 == pytest.approx(75, rel=0.01)  # table 1.0 of the CIFAR tricks


class ByHand:
    """The paper's equations on a state of ours: no layer, no attention and no norm of a library but the convolution."""

    def __init__(self, model: nn.Module, training: bool, heads: tuple[int, ...], kv_stride: int) -> None:
        self.state: dict[str, Tensor] = model.state_dict()
        self.training = training
        self.heads, self.kv_stride = heads, kv_stride

    def linear(self, x: Tensor, name: str) -> Tensor:
        return torch.einsum("...i,oi->...o", x, self.state[f"{name}.weight"]) + self.state[f"{name}.bias"]

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        spread = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return (x - x.mean(-1, keepdim=True)) / spread * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def batch_norm(self, x: Tensor, name: str) -> Tensor:
        mean, var = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        scale = self.state[f"{name}.weight"] / (var + 1e-5).sqrt()
        return (x - mean[:, None, None]) * scale[:, None, None] + self.state[f"{name}.bias"][:, None, None]

    def project(self, patches: Tensor, token: Tensor, name: str, stride: int) -> Tensor:
        """Equation 2: Flatten(Conv2d(Reshape2D(x), s)), depthwise then pointwise; the token goes past the first."""
        n, t, c = patches.shape
        side = int(t**0.5)
        maps = patches.permute(0, 2, 1).reshape(n, c, side, side)
        maps = self.batch_norm(F.conv2d(maps, self.state[f"{name}.conv.weight"], None, stride, 1, 1, c), f"{name}.norm")
        flat = torch.cat([token, maps.reshape(n, c, -1).permute(0, 2, 1)], 1)
        return self.linear(flat, f"{name}.linear")

    def attend(self, x: Tensor, tokens: int, name: str, heads: int) -> Tensor:
        token, patches = x[:, :tokens], x[:, tokens:]
        strides = {"q": 1, "k": self.kv_stride, "v": self.kv_stride}
        q, k, v = (self.project(patches, token, f"{name}.{part}", stride) for part, stride in strides.items())
        out = []
        for one_q, one_k, one_v in zip(q.chunk(heads, 2), k.chunk(heads, 2), v.chunk(heads, 2), strict=True):
            scores = torch.einsum("ntd,nsd->nts", one_q, one_k) / one_q.shape[2] ** 0.5
            shares = scores.exp() / scores.exp().sum(2, keepdim=True)
            out.append(torch.einsum("nts,nsd->ntd", shares, one_v))
        return self.linear(torch.cat(out, 2), f"{name}.out")

    def logits(self, x: Tensor, strides: tuple[int, ...], kernel: int, depths: tuple[int, ...]) -> Tensor:
        last = len(depths) - 1
        for i, depth in enumerate(depths):
            at, span = f"stages.{i}", kernel if i == 0 else 3
            maps = F.conv2d(x, self.state[f"{at}.embed.weight"], self.state[f"{at}.embed.bias"], strides[i], span // 2)
            n, c, side, _ = maps.shape
            patches = self.layer_norm(maps.reshape(n, c, -1).permute(0, 2, 1), f"{at}.norm")
            tokens = 1 if f"{at}.token" in self.state else 0
            if tokens:
                patches = torch.cat([self.state[f"{at}.token"].repeat(n, 1, 1), patches], 1)
            for j in range(depth):
                name = f"{at}.layers.{j}"
                normed = self.layer_norm(patches, f"{name}.norm1")
                patches = patches + self.attend(normed, tokens, f"{name}.attention", self.heads[i])
                inner = self.linear(self.layer_norm(patches, f"{name}.norm2"), f"{name}.mlp.0")
                inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
                patches = patches + self.linear(inner, f"{name}.mlp.2")
            if i < last:
                x = patches.permute(0, 2, 1).reshape(n, c, side, side)
        final = self.layer_norm(patches, "norm")
        return self.linear(final[:, 0] if tokens else final.mean(1), "head")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"pool": "token"}, {"kernel": 7, "pool": "token", "kv_stride": 1}, {"strides": (2, 2, 1), "mlp": 2.5}],
)
def test_computes_the_papers_equations(
    training: bool, arguments: dict[str, Any], images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    model = cvt(7, 3, 32, **SMALL, **arguments).double().train(training)
    scramble(model)
    hand = ByHand(model, training, SMALL["heads"], arguments.get("kv_stride", 2))
    strides, kernel = arguments.get("strides", (4, 2, 2)), arguments.get("kernel", 3)
    x = images(3).double()
    expected = hand.logits(x, strides, kernel, SMALL["depths"])  # before the running statistics move
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(("kv_stride", "choice"), [(2, False), (1, True)])
def test_one_key_is_left_of_the_last_map_and_attention_has_no_choice(
    kv_stride: int, choice: bool, images: Images, scramble: Callable[[nn.Module], None]
) -> None:
    """Ten of the notes' thirteen layers: whatever is asked, the answer is the only value."""
    model = cvt(10, 3, 32, **SMALL, kv_stride=kv_stride).eval()
    scramble(model)
    answers = model.get_submodule("stages.2.layers.0.attention")(100 * images(2, 1, 8).reshape(2, 4, 16), False)
    assert (not torch.allclose(answers, answers[:, :1].expand(-1, 4, -1))) == choice


@pytest.mark.parametrize("pool", ["mean", "token"])
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 10), (3, 32, 10), (3, 64, 100), (3, 224, 1000)])
def test_shapes(pool: str, channels: int, size: int, classes: int) -> None:
    with torch.device("meta"):
        model, x = cvt(classes, channels, size, **SMALL, pool=pool), torch.empty(2, channels, size, size)
        assert model.features(x).shape == (2, 16)
        assert model(x).shape == (2, classes)


def test_the_token_is_no_weight_that_decays() -> None:
    found = kinds(cvt(10, 3, 32, **SMALL, pool="token"))
    assert found["stages.2.token"] == "bias"
    assert {n for n, kind in found.items() if kind == "weight" if not n.endswith("weight")} == set()
    assert {kind for n, kind in found.items() if "norm" in n.split(".")[-2]} == {"norm"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 8}, r"strides: \[4, 2, 2\] need images of at least 16 px, these have 8"),
        ({"kernel": 4}, "kernel: 4 is even; nearest are 3 and 5"),
        ({"kernel": 0}, "kernel: 0 is less than 1"),
        ({"kv_stride": 0}, "kv_stride: 0 is less than 1"),
        ({"heads": (1, 5, 6)}, "heads: 5 does not divide a stage's numbers, 192; nearest are 4 and 6"),
        ({"dims": (64, 192)}, r"dims: \(64, 192\) is not a list of 3"),
        ({"depths": "abc"}, "depths: 'abc' is not a list of 3"),
        ({"pool": "class"}, "pool: there is no 'class'; valid: mean, token"),
        ({"mlp": 0.0}, "mlp: 0.0 leaves no unit"),
    ],
)
def test_refuses(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        cvt(10, 3, **{"size": 32, **arguments})
