"""Shows what the junction's camera sees and what a detector makes of it, as one PNG.

python -m scenarios.junction.preview --out preview.png --light dusk
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from mesh.errors import MeshError
from protocols.clips import frames_of

from .boxes import Box
from .camera import Camera
from .detectors import DEFAULT_MODEL, Detector, recognised_file
from .picture import annotated, save_png, sheet

__all__ = ["main"]

Shown = tuple[str, NDArray[np.uint8], tuple[Box, ...]]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The PNG to write.")
@click.option("--seed", default=1, show_default=True, help="Seed of the simulated junction.")
@click.option(
    "--light", type=click.Choice(["noon", "evening", "overcast", "dusk"]), help="Default: drawn from the seed."
)
@click.option("--stills", default=1, show_default=True, help="How many stills; more than one make a sheet.")
@click.option("--apart", default=4.0, show_default=True, help="Seconds between two stills.")
@click.option("--video", type=click.Path(path_type=Path), help="A real clip instead of the junction.")
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="The detector.")
@click.option("--truth/--no-truth", default=True, help="Whether to mark what there really is to see.")
def main(
    *, out: Path, seed: int, light: str | None, stills: int, apart: float, video: Path | None, model: Path, truth: bool
) -> None:
    """Renders stills of the junction, or takes them from a clip, and marks what the detector finds.

    Example: python -m scenarios.junction.preview --out preview.png --seed 4 --light dusk
    """
    try:
        detector = recognised_file(model)
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        source = _junction(seed, light, apart) if video is None else _clip(video, apart)
        pictures = [_marked(shown, detector, session, truth=truth) for shown in islice(source, stills)]
    except MeshError as error:
        raise click.ClickException(str(error)) from error
    if not pictures:
        raise click.ClickException("there is no frame to show: ask for at least one still")
    save_png(pictures[0] if len(pictures) == 1 else sheet(pictures), out)
    click.echo(str(out))


def _junction(seed: int, light: str | None, apart: float) -> Iterator[Shown]:
    camera = Camera(seed, light=light)
    while True:
        frame = camera.frame(apart)
        yield f"seed {seed}, {camera.light.name}, {frame.seconds:.0f} s", frame.image, frame.truth


def _clip(path: Path, apart: float) -> Iterator[Shown]:
    """Stills of a clip, taking its frames for a twenty-fifth of a second each."""
    for number, image in enumerate(islice(frames_of(path), 0, None, max(1, round(apart * 25)))):
        yield f"{path.name}, {number * apart:.0f} s", image, ()


def _marked(shown: Shown, detector: Detector, session: onnxruntime.InferenceSession, *, truth: bool) -> Image.Image:
    title, image, things = shown
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, detector.prepare(image)), strict=True))
    boxes = detector.decode(outputs, image.shape[0], image.shape[1])
    return annotated(image, boxes, title=f"{detector.name}: {title}", truth=things if truth else ())


if __name__ == "__main__":
    main()
