"""Any image classifier of the library timm, for small images if asked."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import timm as library
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from ablation.model._library import Library, check_size, global_means, on_meta
from ablation.model._stride import lower_stride, shrink_kernel
from ablation.types import Model

TAKEN = {"pretrained", "num_classes", "in_chans", "img_size", "checkpoint_path", "pretrained_cfg", "model_name"}
RATES = ("p", "drop_prob", "drop_rate")  # under these names its layers and networks keep how much they drop


class _Pooled(nn.Module):
    """A network without its classifier: whatever it then gives, as one vector for each image."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D)."""
        out: Tensor = self.net(x)
        return out.flatten(1)


def timm(
    classes: int,
    channels: int,
    size: int,
    name: str = "resnet26",
    stride: int | None = None,
    stem_kernel: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Model:
    """The network `name` of timm (Wightman 2019, github.com/huggingface/pytorch-image-models), untrained.

    `stride` is image side / side of the last map: as the first strided layers are set to step by 1, it falls from the
    library's own (null), mostly 32, to what small images need. `stem_kernel` is the first convolution's kernel in
    pixels: the middle of its weights, scaled up for what is gone. `arguments` go to `timm.create_model`: what the
    architecture takes, such as patch_size. Images of `size` px with `channels` channels; a network that is made for
    one size (ViT, Swin) is made for this one. `features` are what timm's classifier is given, (N, D).

    Differs from timm: no layer draws random numbers, so all rates of dropout and stochastic depth are 0 (in our own
    networks they are `regularizer=dropout` and `stochastic_depth`). Weights start as timm starts them.

    Raises:
        ValueError: there is no such network, its layers cannot be as asked, or it cannot run on such images.
    """
    net = _create(str(name), classes, channels, size, {} if arguments is None else arguments)
    global_means(net)
    if stem_kernel is not None:
        _cut_kernel(net, stem_kernel)
    if stride is not None:
        lower_stride(net, stride, size, channels)
    check_size(net, size, channels, "use larger images, or a smaller stride or patch if it has one")
    _silence(net)
    return _split(net, name, (2, channels, size, size))


def _create(name: str, classes: int, channels: int, size: int, arguments: Mapping[str, Any]) -> nn.Module:
    names = library.list_models()
    if name not in names:
        close = get_close_matches(name, names, n=3, cutoff=0.5)
        ways = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names them"
        raise ValueError(f"name: timm has no {name!r}; {ways}")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"arguments: {arguments!r} is not a mapping such as {{patch_size: 2}}")
    if taken := sorted(TAKEN & set(arguments)):
        raise ValueError(f"arguments: {', '.join(taken)} cannot be set here: the trial decides, or another argument")
    given = {**arguments, "num_classes": classes, "in_chans": channels}
    try:
        try:
            return library.create_model(name, pretrained=False, img_size=size, **given)
        except TypeError as e:  # most take images of any size
            if "img_size" not in str(e):
                raise
            return library.create_model(name, pretrained=False, **given)
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, IndexError) as e:
        asked = f"with {dict(arguments)} " if arguments else ""
        raise ValueError(
            f"{'arguments' if arguments else 'name'}: {name} cannot be built {asked}for {size} px: {e}"
        ) from e


def _cut_kernel(net: nn.Module, kernel: int) -> None:
    conv = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    own = conv.kernel_size[0] if conv else 0
    if conv is None or kernel % 2 == 0 or not 0 < kernel <= own or own % 2 == 0:
        raise ValueError(
            f"stem_kernel: {kernel} cannot be cut from the first convolution's {own} px; odd ones can, or null"
        )
    shrink_kernel(conv, kernel)


def _silence(net: nn.Module) -> None:
    for module in net.modules():
        for rate in RATES:
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)


def _split(net: nn.Module, name: str, shape: tuple[int, int, int, int]) -> Library:
    """Body and head, once a training pass has shown that the classifier comes last and that nothing draws."""
    head: object = getattr(net, "get_classifier", lambda: None)()
    place = next((n for n, m in net.named_modules() if m is head), None)
    if not place or not isinstance(head, nn.Module):
        raise ValueError(f"name: {name} has not one classifier that could be the head; choose another")
    seen: list[tuple[Tensor, Tensor]] = []
    handle = head.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    with _Draws() as draws, sdpa_kernel(SDPBackend.MATH):  # the only attention that draws by an operator of its own
        out = on_meta(net, shape, training=True)
    handle.remove()
    if draws.found:
        raise ValueError(f"name: {name} draws random numbers of its own ({draws.found}); choose another")
    if len(seen) != 1 or not isinstance(out, Tensor) or not (out is seen[0][1] or out._base is seen[0][1]):
        raise ValueError(f"name: {name} does not end with its classifier; choose another")
    if seen[0][0].numel() != shape[0] * seen[0][0].shape[1]:
        raise ValueError(f"name: {name} classifies before it pools; choose another")
    parent, _, own = place.rpartition(".")
    setattr(net.get_submodule(parent), own, nn.Identity())
    return Library(_Pooled(net), _linear(head))


def _linear(head: nn.Module) -> nn.Module:
    """A 1x1 convolution of one pixel as the linear layer that it is."""
    if not isinstance(head, nn.Conv2d):
        return head
    linear = nn.Linear(head.in_channels, head.out_channels, head.bias is not None, head.weight.device)
    linear.weight = nn.Parameter(head.weight.detach().flatten(1))
    linear.register_parameter("bias", None if head.bias is None else nn.Parameter(head.bias.detach()))
    return linear


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes an operator that draws from torch's generator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.found = str(func)
        return func(*args, **(kwargs or {}))
