"""`mesh demo`: the main job, on this machine, without any set-up."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

if TYPE_CHECKING:
    from PIL import Image

    from scenarios.demo.report import Outcome
    from scenarios.demo.screen import Screen
    from scenarios.demo.story import Script

__all__ = ["demo"]

DEVICES = ("camera", "north", "east", "south")
"""The camera asks and holds no part; the others hold one each."""

EPILOG = """Example:

\b
    mesh demo
    mesh demo --video street.mp4 --model yolox_nano.onnx --frames 120"""


@click.command(epilog=EPILOG)
@click.option("--video", type=click.Path(path_type=Path), help="A clip, in place of the simulated junction.")
@click.option("--model", type=click.Path(path_type=Path), help="A detector as ONNX, in place of the junction's own.")
@click.option("--frames", default=240, show_default=True, type=click.IntRange(8, 100_000), help="How many frames.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0, 99_999), help="Of the simulated junction.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the picture and the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and everything else on stderr.")
def demo(*, video: Path | None, model: Path | None, frames: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Four node processes share a detector, and lose one of their number.

    A camera and three other devices, each a process with a key of its own, find each other by mDNS on the loopback
    interface. A detector is cut over the three, and answers the camera's frames; half way one of the three is killed.
    Every answer is compared, byte for byte, with the whole model's. Writes an annotated picture and a JSON report.
    """
    from scenarios.demo.screen import Screen
    from scenarios.junction.picture import save_png

    screen = Screen(Console(stderr=as_json))
    folder = out or Path("out") / time.strftime("demo-%Y%m%d-%H%M%S")
    outcome, picture = asyncio.run(_told(screen, _script(video, model, frames, seed)))
    save_png(picture, folder / "frame.png")
    outcome = dataclasses.replace(outcome, picture=str(folder / "frame.png"))
    report = msgspec.json.format(msgspec.json.encode(outcome))
    (folder / "report.json").write_bytes(report)
    screen.outcome(outcome)
    screen.say(f"Picture: {folder / 'frame.png'}\nReport:  {folder / 'report.json'}")
    if as_json:
        click.echo(report.decode())
    if not outcome.sound:
        raise SystemExit(1)


def _script(video: Path | None, model: Path | None, frames: int, seed: int) -> Script:
    from scenarios.demo.sources import Clip, junction
    from scenarios.demo.story import Script
    from scenarios.junction.detectors import DEFAULT_MODEL, ports, recognise

    chosen = model or DEFAULT_MODEL
    detector = recognise(*ports(chosen))
    if video is None:
        shots = list(junction(seed, frames))
        return Script(chosen, detector, shots, frames, shots[0].image.shape[:2], f"simulated junction, seed {seed}")
    clip = Clip(video, frames)
    return Script(chosen, detector, clip, clip.frames, clip.size, video.name)


async def _told(screen: Screen, script: Script) -> tuple[Outcome, Image.Image]:
    from scenarios.demo.fleet import Fleet
    from scenarios.demo.story import tell
    from scenarios.junction.picture import annotated

    with tempfile.TemporaryDirectory(prefix="mesh-demo-") as folder:
        screen.title(f"Four devices find each other by mDNS on the loopback interface ({script.source})")
        async with Fleet(DEVICES, Path(folder)) as fleet:
            outcome, boxes = await tell(script, fleet, screen)
    best = max(range(len(boxes)), key=lambda number: len(boxes[number]))
    shot = next(itertools.islice(script.shots, best, None))
    title = f"frame {best} of {script.source}, by {script.detector.name} on {len(outcome.plans[0])} devices"
    return outcome, annotated(shot.image, boxes[best], title=title, truth=shot.truth or ())
