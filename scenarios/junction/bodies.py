"""How vehicles are built: each kind as a solid of flat faces around the origin, facing east. No light, no picture."""

from __future__ import annotations

import numpy as np

from .fleet import Kind, Paint
from .roads import Points
from .solids import Face, Solid, box, flat, frustum

__all__ = ["vehicle_body", "vehicle_outline"]

GLASS: Paint = (0.10, 0.13, 0.17)
RUBBER: Paint = (0.07, 0.07, 0.08)
TRIM: Paint = (0.16, 0.16, 0.17)
HUB: Paint = (0.55, 0.55, 0.57)
HEADLIGHT: Paint = (0.96, 0.95, 0.88)
TAIL: Paint = (0.45, 0.05, 0.05)
BRAKE: Paint = (1.0, 0.16, 0.10)
UP = np.array([0.0, 0.0, 1.0])


def vehicle_body(kind: Kind, paint: Paint, *, braking: bool, lamps: bool) -> Solid:
    """The solid of one vehicle, its faces in painting order. Bicycles have none; see `figures.py`.

    Args:
        braking: whether its brake lights shine.
        lamps: whether its headlights do.
    """
    build = {"van": _van, "truck": _truck, "bus": _bus}.get(kind.name, _car)
    return Solid.of([*build(kind, paint), *_lights(kind, braking=braking, lamps=lamps)])


def vehicle_outline(kind: Kind) -> Points:
    """Points (n, 3) around the origin whose hull on a picture is nearly the outline of a vehicle of this kind."""
    half, wide, high = kind.length / 2, kind.width / 2, kind.height
    if high < 2:
        front, rear, slim, waist = half * 0.40 - 0.78, -half * 0.6, 0.74, high * 0.6
    else:
        front, rear, slim, waist = half * (0.5 if kind.name == "van" else 0.95), -half + 0.1, 0.92, high * 0.45
    low, middle = _outline(half, wide, 0.3), _outline(half, wide, 0.3)
    roof = box(rear, -wide * slim, front, wide * slim)
    levels = ((low, 0.1), (middle, waist), (roof, high))
    return np.concatenate([np.column_stack([line, np.full(len(line), level)]) for line, level in levels])


def _car(kind: Kind, paint: Paint) -> list[Face]:
    """A hatchback, saloon or SUV: a hull, and a cabin of glass with a painted roof."""
    half, wide, high = kind.length / 2, kind.width / 2, kind.height
    shoulder = high * 0.61
    rear, back_glass = {"saloon": (-half * 0.66, 0.55), "suv": (-half * 0.93, 0.22)}.get(kind.name, (-half * 0.93, 0.4))
    front = half * 0.40
    cabin_base = box(rear, -wide * 0.93, front, wide * 0.93)
    roof = box(rear + back_glass, -wide * 0.74, front - 0.78, wide * 0.74)
    hull = frustum(_outline(half, wide, 0.32), 0.26, _outline(half * 0.985, wide * 0.96, 0.36), shoulder, paint)
    cabin = frustum(cabin_base, shoulder, roof, high, paint)
    glazed = [_glazed(face) for face in cabin[:4]]
    return [
        *_wheels(kind, 0.31, (0.62, -0.60)),
        *hull,
        *cabin[:4],
        *[pane for panes in glazed for pane in panes],
        cabin[4],
    ]


def _van(kind: Kind, paint: Paint) -> list[Face]:
    half, wide, high = kind.length / 2, kind.width / 2, kind.height
    waist = 1.15
    hull = frustum(_outline(half, wide, 0.28), 0.3, _outline(half, wide * 0.98, 0.3), waist, paint)
    upper = frustum(
        box(-half, -wide * 0.97, half * 0.74, wide * 0.97),
        waist,
        box(-half + 0.1, -wide * 0.84, half * 0.45, wide * 0.84),
        high,
        paint,
    )
    panes = [_inset(upper[1], (0.06, 0.94), (0.06, 0.86))]
    for side in (upper[0], upper[2]):
        low, up = (0.68, 0.95) if side is upper[0] else (0.05, 0.32)
        panes.append(_inset(side, (low, up), (0.12, 0.75)))
    return [*_wheels(kind, 0.34, (0.64, -0.60)), *hull, *upper, *panes]


def _truck(kind: Kind, paint: Paint) -> list[Face]:
    half, wide, high = kind.length / 2, kind.width / 2, kind.height
    gap = half - 2.0
    bed = frustum(
        box(-half, -wide * 0.9, half - 0.3, wide * 0.9),
        0.45,
        box(-half, -wide * 0.9, half - 0.3, wide * 0.9),
        0.95,
        TRIM,
    )
    cab_paint: Paint = paint if paint[0] < 0.7 else (0.18, 0.30, 0.50)
    cab = frustum(
        box(gap + 0.1, -wide * 0.94, half, wide * 0.94),
        0.5,
        box(gap + 0.15, -wide * 0.9, half - 0.28, wide * 0.9),
        2.35,
        cab_paint,
    )
    panes = [
        _inset(cab[1], (0.06, 0.94), (0.48, 0.9)),
        _inset(cab[0], (0.45, 0.9), (0.5, 0.88)),
        _inset(cab[2], (0.1, 0.55), (0.5, 0.88)),
    ]
    load = frustum(box(-half, -wide, gap, wide), 0.95, box(-half, -wide, gap, wide), high, (0.84, 0.84, 0.82))
    stripes = [_inset(load[side], (0.04, 0.96), (0.12, 0.2), cab_paint) for side in (0, 2)]
    return [*_wheels(kind, 0.45, (0.66, -0.45, -0.70)), *bed, *cab, *panes, *load, *stripes]


def _bus(kind: Kind, paint: Paint) -> list[Face]:
    half, wide, high = kind.length / 2, kind.width / 2, kind.height
    shell = frustum(_outline(half, wide, 0.18), 0.35, _outline(half - 0.08, wide * 0.95, 0.2), high, paint)
    roof = flat(
        np.column_stack([box(-half + 0.5, -wide * 0.75, half - 0.5, wide * 0.75), np.full(4, high)]), (0.82, 0.82, 0.80)
    )
    front, rear = _facing(shell, np.array([1.0, 0, 0])), _facing(shell, np.array([-1.0, 0, 0]))
    panes = [_inset(front, (0.05, 0.95), (0.35, 0.88)), _inset(rear, (0.12, 0.88), (0.55, 0.85))]
    for way in (-1.0, 1.0):
        side = _facing(shell, np.array([0.0, way, 0]))
        panes += [_inset(side, (one / 7 + 0.012, (one + 1) / 7 - 0.012), (0.42, 0.84)) for one in range(7)]
    return [*_wheels(kind, 0.46, (0.58, -0.52)), *shell, roof, *panes]


def _facing(faces: list[Face], way: Points) -> Face:
    """The face that most faces `way`."""
    return max(faces, key=lambda face: float(face.normal @ way))


def _outline(half: float, wide: float, chamfer: float) -> Points:
    """A rectangle with cut corners (8, 2), counter-clockwise from the rear right."""
    inner, slim = half - chamfer, wide - chamfer * 0.7
    return np.array(
        [
            [-inner, -wide], [inner, -wide], [half, -slim], [half, slim],
            [inner, wide], [-inner, wide], [-half, slim], [-half, -slim],
        ]
    )  # fmt: skip


def _glazed(face: Face) -> list[Face]:
    """Windows on one side of a cabin: two with a pillar between on its long sides, one in front and behind."""
    if abs(face.normal[1]) > abs(face.normal[0]):
        return [_inset(face, (0.05, 0.50), (0.1, 0.88)), _inset(face, (0.54, 0.95), (0.1, 0.88))]
    return [_inset(face, (0.07, 0.93), (0.06, 0.92))]


def _inset(face: Face, across: tuple[float, float], upward: tuple[float, float], paint: Paint = GLASS) -> Face:
    """A decal on a four-cornered face, from and to in shares of its width and of its height."""
    (left, right), (low, high) = across, upward
    start, end, end_top, start_top = face.points

    def at(along: float, up: float) -> Points:
        return np.asarray(
            (start * (1 - along) + end * along) * (1 - up) + (start_top * (1 - along) + end_top * along) * up
        )

    return Face(np.stack([at(left, low), at(right, low), at(right, high), at(left, high)]), paint, face.normal)


def _wheels(kind: Kind, radius: float, axles: tuple[float, ...]) -> list[Face]:
    """Tyres and hubs on both sides; `axles` in shares of half the length."""
    faces = []
    angle = np.linspace(0, 2 * np.pi, 11)[:-1]
    for side in (-1.0, 1.0):
        for axle in axles:
            for size, paint, out in ((radius, RUBBER, 0.0), (radius * 0.55, HUB, 0.01)):
                ring = np.stack(
                    [
                        axle * kind.length / 2 + size * np.cos(angle),
                        np.full(10, side * (kind.width / 2 + out)),
                        radius + size * np.sin(angle),
                    ],
                    axis=-1,
                )
                faces.append(Face(ring, paint, np.array([0.0, side, 0.0])))
    return faces


def _lights(kind: Kind, *, braking: bool, lamps: bool) -> list[Face]:
    """Headlights and rear lights, as decals."""
    half, wide = kind.length / 2 + 0.01, kind.width / 2
    low, high = (0.55, 0.75) if kind.height < 2 else (0.7, 0.98)
    faces = []
    for end, paint, glow in ((half, HEADLIGHT, lamps), (-half, BRAKE if braking else TAIL, braking or lamps)):
        for side in (-1.0, 1.0):
            inner, outer = sorted((side * wide * 0.52, side * wide * 0.88))
            points = np.array([[end, inner, low], [end, outer, low], [end, outer, high], [end, inner, high]])
            faces.append(Face(points, paint, np.array([np.sign(end), 0.0, 0.0]), glow))
    return faces
