"""CoAtNets: convolutions first, then attention."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models.maxxvit import Attention2d, MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg
from torch import Tensor, nn

from ablation.model._attention import write_out_attention
from ablation.model._library import GlobalMean, Library
from ablation.model._numbers import at_least, per_stage
from ablation.types import Model


def _as_weights(conv: nn.Conv2d, args: tuple[Tensor]) -> tuple[Tensor]:
    """Autocast does not reach convolutions under `torch.vmap`, and attention hands over 16 bits."""
    return (args[0].to(conv.weight.dtype),)


def coatnet(
    classes: int,
    channels: int,
    size: int,
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (2, 3, 5, 2),
    stem: int = 64,
    dim_head: int = 32,
    stem_stride: int = 2,
) -> Model:
    """CoAtNet (Dai et al. 2021, 2106.04803): timm's, by default CoAtNet-0.

    A stem of two 3x3 convolutions of `stem` channels, two stages of MBConv blocks (with squeeze-and-excitation) and two
    of attention over the whole map with learned relative positions; `dims` channels and `depths` blocks a stage, heads
    of `dim_head` channels. Each stage halves the map. The total stride is 32 as in the paper and in the lab's notes, so
    that the last stage of a CIFAR image attends over one pixel, which is no attention; stem_stride=1 makes it 16, of
    four pixels. Features are (N, dims[-1]), after the linear layer and tanh before the head. With 1000 classes at 224
    px it has the paper's 25, 42 and 75 M parameters (0, 1, 2).

    Differs: dropout and stochastic depth are off. The notes' 0, 1 and 2 have 64.9, 123 and 208 MiB where these have 92,
    158 and 280: there attention is of 256 channels in every stage, MBConv and MLP widen their input's channels instead
    of their output's, and nothing is between the mean and the head. By timm's choice stages down-sample by a mean
    (attention) or a strided depthwise convolution (MBConv), by the paper's a maximum and the first 1x1.

    Raises:
        ValueError: an argument is out of range, or the network cannot run on images of this size.
    """
    widths, blocks = per_stage("dims", dims, 4), per_stage("depths", depths, 4)
    at_least(1, stem=stem, dim_head=dim_head)
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride: {stem_stride} is neither 1 nor 2")
    for width in widths[2:]:
        if width % dim_head:
            raise ValueError(f"dim_head: heads of {dim_head} channels do not fill {width}; change it or dims")
    smallest = 16 * stem_stride
    if size % smallest:
        raise ValueError(f"size: {size} px is not a multiple of {smallest}; stem_stride=1 needs multiples of 16")
    attention = MaxxVitTransformerCfg(dim_head=dim_head)
    cfg = MaxxVitCfg(
        embed_dim=tuple(widths),
        depths=tuple(blocks),
        stem_width=stem,
        transformer_cfg=attention,
        head_hidden_size=widths[-1],
    )
    # The sides of its maps are counted from an image's side and a stem of stride 2.
    net = MaxxVit(cfg, img_size=size * 2 // stem_stride, in_chans=channels, num_classes=classes)
    net.stem.conv1.stride = (stem_stride, stem_stride)
    head, net.head.fc = net.head.fc, nn.Identity()
    net.head.global_pool = GlobalMean()  # type: ignore[assignment]
    write_out_attention(net)
    for module in net.modules():
        if isinstance(module, Attention2d):
            module.proj.register_forward_pre_hook(_as_weights)
    return Library(net, head)
