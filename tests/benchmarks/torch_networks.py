"""The networks in PyTorch as one would run them there: channels last, normalizations folded, parameters frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from diffprog.models.efficientnet import bottlenecks

Weights = dict[str, np.ndarray]


def network(name: str, weights: Weights) -> Callable[[Any], Any]:
    """`images [B, 3, H, W] in [0, 1], channels last -> logits`, of our own converted weights."""
    tensors = {
        key: torch.from_numpy(_oihw(value)) for key, value in weights.items() if "statistics" not in key
    }
    tensors = {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in tensors.items()}
    return (lambda x: _squeezenet(x, tensors)) if name == "squeezenet" else (lambda x: _lite(x, tensors))


def input_gradient(net: Callable[[Any], Any], images: np.ndarray, unit: int) -> Callable[[], Any]:
    """A call that computes the gradient of one logit by the pictures."""
    x = torch.from_numpy(images.copy()).permute(
        0, 3, 1, 2
    )  # NHWC in memory, which is PyTorch's channels last
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()

    def call() -> Any:
        (gradient,) = torch.autograd.grad(net(x)[:, unit].sum(), x)
        return gradient

    return call


def _oihw(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value)


def _conv(x: Any, w: dict[str, Any], name: str, stride: int = 1, same: bool = True) -> Any:
    kernel, bias = w[f"{name}/kernel"], w[f"{name}/bias"]
    groups = x.shape[1] if kernel.shape[1] == 1 and x.shape[1] > 1 else 1
    size = kernel.shape[-1]
    total = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0) if same else 0
    if total % 2:  # XLA's SAME puts the odd pixel at the end
        x, total = functional.pad(x, (total // 2, total - total // 2) * 2), 0
    return functional.conv2d(x, kernel, bias, stride, total // 2, groups=groups)


def _squeezenet(x: Any, w: dict[str, Any]) -> Any:
    mean = torch.tensor([103.939, 116.779, 123.68]).reshape(3, 1, 1)
    x = functional.relu(_conv(255 * x.flip(1) - mean, w, "conv1", 2, same=False))
    x = functional.max_pool2d(x, 3, 2)
    for number in range(2, 10):
        squeezed = functional.relu(_conv(x, w, f"fire{number}/squeeze"))
        parts = [functional.relu(_conv(squeezed, w, f"fire{number}/expand{k}")) for k in ("1x1", "3x3")]
        x = torch.cat(parts, 1)
        if number in (3, 5):
            x = functional.max_pool2d(x, 3, 2)
    return functional.relu(_conv(x, w, "conv10")).mean((2, 3))


def _lite(x: Any, w: dict[str, Any]) -> Any:
    x = functional.relu6(_conv((255 * x - 127) / 128, w, "stem", 2))
    for index, (_, _, expand, _, stride) in enumerate(bottlenecks(1.0, 1.0)):
        name, skip = f"blocks/{index}", x
        if expand > 1:
            x = functional.relu6(_conv(x, w, f"{name}/expand"))
        x = functional.relu6(_conv(x, w, f"{name}/depthwise", stride))
        x = _conv(x, w, f"{name}/project")
        x = x + skip if stride == 1 and x.shape == skip.shape else x
    x = functional.relu6(_conv(x, w, "head")).mean((2, 3))
    return x @ w["logits/kernel"] + w["logits/bias"]
