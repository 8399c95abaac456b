"""The junction's detector: a small convolutional network with residual blocks and a feature pyramid. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .grid import LABELS

__all__ = ["Network"]

WIDTHS = (16, 24, 48, 80)
NECK = 32


class Convolution(nn.Sequential):  # type: ignore[misc]
    """A convolution, its batch norm (folded into it on export) and a rectifier."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
        )


class Residual(nn.Module):  # type: ignore[misc]
    """A narrow 1x1 and a 3x3 convolution beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = Convolution(width, width // 2, 1)
        self.widen = nn.Sequential(nn.Conv2d(width // 2, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.widen(self.narrow(features)))


class Stage(nn.Sequential):  # type: ignore[misc]
    """Halves the resolution, then refines."""

    def __init__(self, into: int, out: int, blocks: int) -> None:
        super().__init__(Convolution(into, out, 3, stride=2), *(Residual(out) for _ in range(blocks)))


class Network(nn.Module):  # type: ignore[misc]
    """Frames to a grid of scores and boxes.

    Input (n, height, width, 3) uint8; height and width are multiples of 16. Output (n, 6, height / 4, width / 4)
    float32: for each cell a logit for each of `LABELS` that a thing's middle lies there, then the natural logarithms
    of the distances from the cell's middle to the box's left, top, right and bottom edge, in units of `STRIDE`.

    Source: Zhou, Wang and Krähenbühl 2019, "Objects as points" (middles on a grid); Tian et al. 2019, "FCOS"
    (distances to four edges).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, WIDTHS[0], 3, stride=2)
        self.fine = Stage(WIDTHS[0], WIDTHS[1], blocks=1)
        self.middle = Stage(WIDTHS[1], WIDTHS[2], blocks=2)
        self.coarse = Stage(WIDTHS[2], WIDTHS[3], blocks=3)
        self.lateral = Convolution(WIDTHS[3], WIDTHS[2], 1)
        self.merge_middle = nn.Sequential(Convolution(2 * WIDTHS[2], WIDTHS[2], 1), Convolution(WIDTHS[2], NECK, 3))
        self.merge_fine = nn.Sequential(Convolution(NECK + WIDTHS[1], NECK, 1), Convolution(NECK, WIDTHS[1], 3))
        self.head = nn.Conv2d(WIDTHS[1], len(LABELS) + 4, 1)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([-4.0, -4.0, 0.7, 0.7, 0.7, 0.7]))

    def forward(self, frames: Tensor) -> Tensor:
        pixels = frames.permute(0, 3, 1, 2).float() * (1 / 255.0)
        fine = self.fine(self.stem(pixels))
        middle = self.middle(fine)
        coarse = self.lateral(self.coarse(middle))
        middle = self.merge_middle(torch.cat([_doubled(coarse), middle], dim=1))
        grid: Tensor = self.head(self.merge_fine(torch.cat([_doubled(middle), fine], dim=1)))
        return grid


def _doubled(features: Tensor) -> Tensor:
    return nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
