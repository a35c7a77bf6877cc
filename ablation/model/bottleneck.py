"""Bottlenecks: a narrow 3x3 convolution between two of 1x1, with the activation after the sum (v1) or before (v2)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ablation.model.block import Block, Branch, Layers
from ablation.model.shortcut import shortcut


def _conv1x1(inside: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, out, 1, stride, bias=False)


def _conv3x3(width: int, stride: int, groups: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)


class PostBottleneck(Block):
    """Bottleneck v1: act(join(shortcut(x), 1x1-norm-act-3x3-norm-act-[drop]-1x1-norm)) (He et al. 2015, 1512.03385).

    `mid` channels between the two 1x1, in `groups` of the 3x3, which has the stride, as is usual since Gross and Wilber
    (2016); with `stride_first` the first 1x1 has it, as in the paper. A shortcut with a convolution has a norm of its
    own. `side`: of the maps that come out, in pixels. `spatial` makes what stands in place of the 3x3 with its norm and
    activation, of (channels, stride, groups).
    """

    def __init__(
        self,
        layers: Layers,
        inside: int,
        mid: int,
        out: int,
        stride: int,
        join: nn.Module,
        *,
        groups: int = 1,
        stride_first: bool = False,
        side: int = 0,
        spatial: Callable[[int, int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_first else (1, stride)

        def branch() -> Branch:
            return Branch(
                conv1=_conv1x1(inside, mid, first),
                norm1=layers.norm(mid),
                act1=layers.act(),
                conv2=(spatial or _conv3x3)(mid, second, groups),
                norm2=None if spatial else layers.norm(mid),
                act2=None if spatial else layers.act(),
                drop=layers.dropping(),
                conv3=_conv1x1(mid, out),
                norm3=layers.norm(out),
                attend=layers.attending(out, side),
            )

        self.branch = branch()
        self.shortcut = shortcut(layers.shortcut, inside, out, stride, layers.norm)
        self.join = join
        self.act = layers.act()
        self.beside = nn.ModuleList(branch() for _ in range(layers.branches - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        out: Tensor = self.act(self.join(self.shortcut(x), self.branch(x), *(branch(x) for branch in self.beside)))
        return out


class PreBottleneck(Block):
    """Bottleneck v2: join(shortcut, norm-act-1x1-norm-act-3x3-norm-act-[drop]-1x1) (He et al. 2016, 1603.05027).

    As `PreBlock`: at the `start` of a stage the shortcut too begins after norm-act, a shortcut with a convolution has
    no norm, and branches side by side share the first norm-act. The 3x3 has the stride.
    """

    def __init__(
        self,
        layers: Layers,
        inside: int,
        mid: int,
        out: int,
        stride: int,
        join: nn.Module,
        *,
        start: bool,
        groups: int = 1,
        side: int = 0,
    ) -> None:
        super().__init__()
        self.start = start
        self.pre = nn.Sequential(layers.norm(inside), layers.act())

        def branch() -> Branch:
            return Branch(
                conv1=_conv1x1(inside, mid),
                norm1=layers.norm(mid),
                act1=layers.act(),
                conv2=_conv3x3(mid, stride, groups),
                norm2=layers.norm(mid),
                act2=layers.act(),
                drop=layers.dropping(),
                conv3=_conv1x1(mid, out),
                attend=layers.attending(out, side),
            )

        self.branch = branch()
        self.shortcut = shortcut(layers.shortcut, inside, out, stride, None)
        self.join = join
        self.beside = nn.ModuleList(branch() for _ in range(layers.branches - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) -> (N, out, H / stride, W / stride)."""
        active = self.pre(x)
        carried = self.shortcut(active if self.start else x)
        out: Tensor = self.join(carried, self.branch(active), *(branch(active) for branch in self.beside))
        return out
