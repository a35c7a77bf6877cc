"""Residual blocks: `join(shortcut, *branches)`, with the activation after the sum (v1) or before the branch (v2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ablation.model.shortcut import shortcut
from ablation.types import Drop, Join

Attend = Callable[[int, int], nn.Module]  # (channels, side of the maps in px) -> layer that keeps the maps' shape


class Sum(nn.Module):
    """The plain join: shortcut + branches."""

    def forward(self, first: Tensor, *branches: Tensor) -> Tensor:
        """Tensors of one shape -> their sum."""
        return sum(branches, first)


def plain(block: int, blocks: int) -> nn.Module:
    """The join of a network without noise."""
    return Sum()


class Branch(nn.Sequential):
    """The layers of one residual branch in order: by this type `init.zero_gamma` finds the one that ends it.

    Layers are named, so that a layer in between does not rename the others: their first weights hang on their names.
    """

    def __init__(self, **children: nn.Module | None) -> None:
        super().__init__()
        for name, layer in children.items():
            if layer is not None:
                self.add_module(name, layer)


@dataclass(frozen=True)
class Layers:
    """What all blocks of a network are made of."""

    norm: Callable[[int], nn.Module]  # channels -> layer
    act: Callable[[], nn.Module]
    drop: Drop | None
    shortcut: str  # kind, see ablation/model/shortcut.py
    branches: int = 1  # side by side in a block, each of the same layers
    attend: Attend | None = None  # at the very end of each branch

    def dropping(self) -> nn.Module | None:
        """A layer of noise before the last convolution of a branch, if there is to be one."""
        return self.drop() if self.drop else None

    def attending(self, channels: int, side: int) -> nn.Module | None:
        """The layer that ends a branch with maps of so many channels and pixels a side, if there is to be one."""
        return self.attend(channels, side) if self.attend else None


class Block(nn.Module):
    """Marks residual blocks: modules that are called with and return feature maps."""


def joiner(join: Join | None, block: int, blocks: int, branches: int) -> nn.Module:
    """What joins the branches of this block (from 1).

    A join that takes only a certain number of branches says so in an attribute `branches`.

    Raises:
        ValueError: there is less than one branch, or the join takes another number.
    """
    if branches < 1:
        raise ValueError(f"branches: {branches} is less than one")
    joined = (join or plain)(block, blocks)
    needed = getattr(joined, "branches", branches)
    if branches != needed:
        kind = type(joined).__name__
        raise ValueError(f"branches: {kind} joins {needed} branches, here are {branches}; set model.branches={needed}")
    return joined


def conv3x3(inside: int, out: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3x3 convolution without bias: a norm follows."""
    return nn.Conv2d(inside, out, 3, stride, 1, bias=False)


class PostBlock(Block):
    """Basic block v1: act(join(shortcut(x), conv-norm-act-[drop]-conv-norm)) (He et al. 2015, 1512.03385).

    A shortcut with a convolution has a norm of its own.
    """

    def __init__(self, layers: Layers, inside: int, out: int, stride: int, join: nn.Module, *, side: int = 0) -> None:
        super().__init__()

        def branch() -> Branch:
            return Branch(
                conv1=conv3x3(inside, out, stride),
                norm1=layers.norm(out),
                act=layers.act(),
                drop=layers.dropping(),
                conv2=conv3x3(out, out),
                norm2=layers.norm(out),
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


class PreBlock(Block):
    """Basic block v2: join(shortcut, norm-act-conv-norm-act-[drop]-conv) (He et al. 2016, 1603.05027).

    At the start of each stage the shortcut too begins after norm-act, as in the authors' code; elsewhere it carries x
    itself. A shortcut with a convolution has no norm. Branches side by side share the first norm-act.
    """

    def __init__(
        self, layers: Layers, inside: int, out: int, stride: int, join: nn.Module, *, start: bool, side: int = 0
    ) -> None:
        super().__init__()
        self.start = start
        self.pre = nn.Sequential(layers.norm(inside), layers.act())

        def branch() -> Branch:
            return Branch(
                conv1=conv3x3(inside, out, stride),
                norm1=layers.norm(out),
                act=layers.act(),
                drop=layers.dropping(),
                conv2=conv3x3(out, out),
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


def residual_blocks(model: nn.Module) -> list[nn.Module]:
    """Every residual block in order; a module that is called with and returns feature maps."""
    return [m for m in model.modules() if isinstance(m, Block)]
