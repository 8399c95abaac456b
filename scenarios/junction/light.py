"""The light a scene stands in: sun, sky, lamps and the sensor's noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .roads import Points

__all__ = ["Light"]


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one scene.

    Attributes:
        name: `noon`, `evening`, `overcast` or `dusk`.
        towards: (3,) unit vector to the sun.
        sun: (3,) what direct sun adds to a surface that faces it, red, green, blue.
        sky: (3,) what reaches every surface.
        softness: blur of shadows' edges in metres.
        lamps: whether street lamps and headlights are on.
        noise: standard deviation of the sensor's noise, in levels of 255.
    """

    name: str
    towards: Points
    sun: Points
    sky: Points
    softness: float
    lamps: bool
    noise: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Light:
        """A light at random: two in five scenes in full sun, the rest shared by evening, overcast and dusk."""
        name = ("noon", "evening", "overcast", "dusk")[int(rng.choice(4, p=[0.4, 0.2, 0.22, 0.18]))]
        return cls.named(name, rng)

    @classmethod
    def named(cls, name: str, rng: np.random.Generator) -> Light:
        """The light called `name`, with the sun and its strength drawn from what is usual for it."""
        azimuth = float(rng.uniform(-150.0, 10.0))
        strength = float(rng.uniform(0.9, 1.08))
        if name == "noon":
            high, sun, sky, soft, noise = rng.uniform(38, 60), (0.92, 0.87, 0.76), (0.38, 0.42, 0.50), 0.12, 2.0
        elif name == "evening":
            high, sun, sky, soft, noise = rng.uniform(17, 27), (1.18, 0.84, 0.50), (0.34, 0.36, 0.46), 0.16, 2.6
        elif name == "overcast":
            high, sun, sky, soft, noise = 60.0, (0.12, 0.12, 0.12), (0.72, 0.75, 0.80), 0.9, 2.6
        else:
            high, sun, sky, soft, noise = 40.0, (0.03, 0.03, 0.05), (0.29, 0.33, 0.47), 1.0, 4.0
        return cls(
            name=name,
            towards=_unit(azimuth, float(high)),
            sun=np.array(sun) * strength,
            sky=np.array(sky) * strength,
            softness=soft,
            lamps=name == "dusk",
            noise=noise,
        )

    @property
    def diffuse(self) -> bool:
        """Whether shadows have no edges: the sun is hidden or gone."""
        return self.softness > 0.5

    def on(self, normal: Points) -> Points:
        """What reaches a surface (..., 3) with the given unit normals (..., 3): sun by its angle, sky by its tilt."""
        facing = np.clip(normal @ self.towards, 0.0, None)[..., None]
        open_sky = (0.68 + 0.32 * normal[..., 2])[..., None]
        return np.asarray(self.sun * facing + self.sky * open_sky)

    def cast(self, points: Points) -> Points:
        """Where on the ground (..., 2) the shadows of the world points (..., 3) fall."""
        return np.asarray(points[..., :2] - points[..., 2:] * (self.towards[:2] / self.towards[2]))


def _unit(azimuth: float, elevation: float) -> Points:
    """The unit vector that points `azimuth` degrees counter-clockwise from east and `elevation` degrees up."""
    turn, rise = np.radians(azimuth), np.radians(elevation)
    return np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
