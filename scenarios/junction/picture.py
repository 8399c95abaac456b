"""Pictures for people: a frame with boxes, labels and a legend, alone or many on one sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .boxes import Box

__all__ = ["annotated", "save_png", "sheet"]

Ink = tuple[int, int, int]
AMBER: Ink = (255, 183, 43)
CYAN: Ink = (66, 214, 255)
OTHERS: tuple[Ink, ...] = ((160, 232, 96), (255, 122, 122), (214, 150, 255), (255, 145, 214), (120, 230, 200))
VEHICLES = frozenset({"vehicle", "car", "truck", "bus", "motorbike", "bicycle", "train"})
TRUTH: Ink = (255, 255, 255)
LEAST_WIDTH = 960
"""Smaller frames are enlarged by a whole factor to at least this many pixels."""
PANEL = (14, 16, 20)


def annotated(frame: NDArray[np.uint8], boxes: Sequence[Box], *, title: str, truth: Sequence[Box] = ()) -> Image.Image:
    """The frame, enlarged where small, with its boxes and below it a legend that counts them.

    Args:
        frame: (height, width, 3) uint8 RGB.
        boxes: what was detected, in pixels of the frame.
        title: one line for the legend.
        truth: what there was to detect; drawn as thin white corners.
    """
    factor = max(1, -(-LEAST_WIDTH // frame.shape[1]))
    picture = Image.fromarray(frame)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture, "RGBA")
    for box in truth:
        _corners(draw, box, factor)
    taken: list[tuple[float, float, float, float]] = []
    for box in sorted(boxes, key=lambda one: one.score):
        _outline(draw, box, factor)
    for box in sorted(boxes, key=lambda one: -one.score):
        _tag(draw, box, factor, taken)
    return _with_legend(picture, boxes, title, truth)


def sheet(pictures: Sequence[Image.Image], *, columns: int = 2, width: int = 960) -> Image.Image:
    """Many pictures on one, in rows of `columns`, each `width` pixels wide. There must be at least one."""
    gap = 8
    small = [one.resize((width, round(one.height * width / one.width)), Image.Resampling.LANCZOS) for one in pictures]
    high = max(one.height for one in small)
    rows = -(-len(small) // columns)
    across = min(columns, len(small))
    whole = Image.new("RGB", (across * (width + gap) + gap, rows * (high + gap) + gap), PANEL)
    for index, one in enumerate(small):
        whole.paste(one, (gap + index % columns * (width + gap), gap + index // columns * (high + gap)))
    return whole


def save_png(picture: Image.Image, path: Path) -> None:
    """Writes a PNG; makes the folder it goes to.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", optimize=True)


def _ink(label: str) -> Ink:
    if label in VEHICLES:
        return AMBER
    return CYAN if label == "person" else OTHERS[sum(label.encode()) % len(OTHERS)]


def _outline(draw: ImageDraw.ImageDraw, box: Box, factor: int) -> None:
    edges = tuple(edge * factor for edge in (box.left, box.top, box.right, box.bottom))
    if edges[2] - edges[0] >= 1 and edges[3] - edges[1] >= 1:
        draw.rectangle(edges, outline=(0, 0, 0, 90), width=4)
        draw.rectangle(edges, outline=_ink(box.label), width=2)


def _tag(draw: ImageDraw.ImageDraw, box: Box, factor: int, taken: list[tuple[float, float, float, float]]) -> None:
    """The label and the score above the box; below it where another tag already stands."""
    font = ImageFont.load_default(13)
    words = f"{box.label} {box.score:.2f}"
    wide, high = draw.textlength(words, font=font) + 8, 17
    left = max(0.0, box.left * factor)
    for top in (box.top * factor - high, box.bottom * factor, box.top * factor):
        edges = (left, max(0.0, top), left + wide, max(0.0, top) + high)
        if not any(edges[0] < o[2] and o[0] < edges[2] and edges[1] < o[3] and o[1] < edges[3] for o in taken):
            break
    else:
        return
    taken.append(edges)
    draw.rectangle(edges, fill=(*_ink(box.label), 225))
    draw.text((edges[0] + 4, edges[1] + 1), words, fill=(12, 14, 18), font=font)


def _corners(draw: ImageDraw.ImageDraw, box: Box, factor: int) -> None:
    """Four small angles: the truth stays visible under a detection that fits it."""
    left, top, right, bottom = (edge * factor for edge in (box.left, box.top, box.right, box.bottom))
    arm = max(4.0, min(right - left, bottom - top) / 5)
    for x, y, across, down in ((left, top, 1, 1), (right, top, -1, 1), (left, bottom, 1, -1), (right, bottom, -1, -1)):
        draw.line([(x + across * arm, y), (x, y), (x, y + down * arm)], fill=(*TRUTH, 230), width=1)


def _with_legend(picture: Image.Image, boxes: Sequence[Box], title: str, truth: Sequence[Box]) -> Image.Image:
    """The picture with a dark strip below it: a swatch and a count for each label, then the title."""
    high = 40
    whole = Image.new("RGB", (picture.width, picture.height + high), PANEL)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(16)
    middle = picture.height + high // 2
    counts = Counter(box.label for box in boxes)
    real = Counter(box.label for box in truth)
    x = 14.0
    for label in sorted(counts | real, key=lambda one: (-counts[one], one))[:6]:
        draw.rectangle((x, middle - 7, x + 14, middle + 7), fill=_ink(label))
        words = f"{label} {counts[label]}" + (f" of {real[label]}" if truth else "")
        draw.text((x + 21, middle), words, fill=(235, 235, 235), font=font, anchor="lm")
        x += 21 + draw.textlength(words, font=font) + 22
    draw.text((picture.width - 14, middle), title, fill=(168, 174, 184), font=font, anchor="rm")
    return whole
