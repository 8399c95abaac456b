"""What drives through the junction: kinds of vehicle, their sizes, colours and shares of the traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Kind", "Paint", "draw_kind", "draw_paint"]

Paint = tuple[float, float, float]
"""Red, green and blue reflectance, each 0 to 1."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of vehicle. Lengths in metres, speed in metres per second."""

    name: str
    length: float
    width: float
    height: float
    speed: float
    share: float
    """Of the traffic; the shares add up to one."""
    aside: float = 0.0
    """How far right of its lane's middle it keeps."""


KINDS = (
    Kind("hatchback", length=4.0, width=1.75, height=1.48, speed=11.5, share=0.28),
    Kind("saloon", length=4.7, width=1.82, height=1.45, speed=12.0, share=0.27),
    Kind("suv", length=4.6, width=1.9, height=1.72, speed=11.5, share=0.14),
    Kind("van", length=5.4, width=2.0, height=2.3, speed=11.0, share=0.10),
    Kind("truck", length=7.6, width=2.35, height=3.1, speed=9.5, share=0.06),
    Kind("bus", length=10.6, width=2.5, height=3.0, speed=9.0, share=0.04),
    Kind("bicycle", length=1.8, width=0.6, height=1.75, speed=5.0, share=0.11, aside=1.0),
)

PAINTS: tuple[Paint, ...] = (
    (0.86, 0.87, 0.88),
    (0.70, 0.71, 0.73),
    (0.42, 0.43, 0.46),
    (0.17, 0.18, 0.20),
    (0.24, 0.25, 0.29),
    (0.62, 0.12, 0.11),
    (0.13, 0.24, 0.47),
    (0.32, 0.49, 0.63),
    (0.16, 0.32, 0.22),
    (0.72, 0.58, 0.36),
    (0.80, 0.70, 0.16),
    (0.44, 0.28, 0.20),
)
PAINT_SHARES = np.array([22, 16, 13, 16, 9, 8, 7, 4, 2, 1, 1, 1]) / 100
WORK_PAINTS: tuple[Paint, ...] = ((0.88, 0.88, 0.87), (0.80, 0.80, 0.80), (0.90, 0.76, 0.18), (0.22, 0.36, 0.58))
BUS_PAINTS: tuple[Paint, ...] = ((0.72, 0.13, 0.12), (0.14, 0.40, 0.36), (0.86, 0.62, 0.16))


def draw_kind(rng: np.random.Generator) -> Kind:
    """A kind, drawn by the shares."""
    return KINDS[int(rng.choice(len(KINDS), p=[kind.share for kind in KINDS]))]


def draw_paint(kind: Kind, rng: np.random.Generator) -> Paint:
    """A colour such as vehicles of this kind have: most cars are grey, black or white."""
    if kind.name == "bus":
        paint = BUS_PAINTS[int(rng.integers(len(BUS_PAINTS)))]
    elif kind.name in {"van", "truck"}:
        paint = WORK_PAINTS[int(rng.integers(len(WORK_PAINTS)))]
    else:
        paint = PAINTS[int(rng.choice(len(PAINTS), p=PAINT_SHARES))]
    shift = rng.uniform(-0.03, 0.03, 3)
    red, green, blue = (float(np.clip(part + by, 0.02, 0.95)) for part, by in zip(paint, shift, strict=True))
    return red, green, blue
