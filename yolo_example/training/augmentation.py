"""Changes to pictures and boxes on the device, so that no picture is seen twice alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LEAST_SIZE = 3.0
LEAST_LEFT = 0.35


def augment(pictures: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, zoom, shift, recolor and add noise.

    `pictures` uint8 [N, 3, height, width] become float32 from 0 to 1; `targets` are as for
    `yolo_loss`.
    """
    count, _, height, width = pictures.shape
    device = pictures.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(count, *shape, device=device, generator=generator)
        return low + (high - low) * drawn

    mirrored = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    changed = (uniform(0, 1) < 0.5).float()
    zoom = torch.exp(uniform(-0.35, 0.35) * changed)
    stretch = torch.exp(uniform(-0.1, 0.1) * changed)
    zoom_x, zoom_y = zoom * stretch, zoom / stretch
    shift_x, shift_y = uniform(-0.2, 0.2) * changed, uniform(-0.15, 0.15) * changed
    zero = torch.zeros_like(zoom)
    # The grid says for each pixel of the result where it comes from.
    matrix = torch.stack([
        torch.stack([mirrored / zoom_x, zero, -shift_x * mirrored / zoom_x], 1),
        torch.stack([zero, 1 / zoom_y, -shift_y / zoom_y], 1),
    ], 1)  # fmt: skip
    grid = functional.affine_grid(matrix, [count, 3, height, width], align_corners=False)
    floats = pictures.float() / 255
    plain = functional.grid_sample(floats, grid, padding_mode="border", align_corners=False)
    x = _recolored(plain, uniform)
    noise = torch.randn(x.shape, device=device, generator=generator)
    x = (x + noise * uniform(0, 0.02, 1, 1, 1)).clamp(0, 1)
    return x, _moved(targets, mirrored * zoom_x, zoom_y, shift_x, shift_y, width, height)


def _recolored(x: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
    """Brightness, contrast, saturation, and the balance of the channels."""
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * uniform(0.6, 1.4, 1, 1, 1)
    x = x * uniform(0.75, 1.3, 1, 1, 1) * uniform(0.93, 1.07, 3, 1, 1)
    result: Tensor = (x - 0.5) * uniform(0.85, 1.15, 1, 1, 1) + 0.5
    return result


def _moved(
    targets: Tensor, zoom_x: Tensor, zoom_y: Tensor, shift_x: Tensor, shift_y: Tensor, width: int,
    height: int,
) -> Tensor:  # fmt: skip
    """Boxes after the same change, cut to the picture; those that are mostly gone are dropped."""
    label, x, y, w, h = targets.unbind(2)
    scale_x, scale_y = zoom_x[:, None], zoom_y[:, None]
    x = (x - width / 2) * scale_x + width / 2 * (1 + shift_x[:, None])
    y = (y - height / 2) * scale_y + height / 2 * (1 + shift_y[:, None])
    w, h = w * scale_x.abs(), h * scale_y
    left, right = (x - w / 2).clamp(0, width), (x + w / 2).clamp(0, width)
    top, bottom = (y - h / 2).clamp(0, height), (y + h / 2).clamp(0, height)
    kept = (right - left) * (bottom - top) > LEAST_LEFT * w * h
    kept &= torch.minimum(right - left, bottom - top) >= LEAST_SIZE
    label = torch.where(kept, label, -torch.ones_like(label))
    return torch.stack(
        [label, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 2
    )
