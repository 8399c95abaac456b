"""How a picture becomes a model's input. The recipe is kept with the model; nothing is guessed when a model runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from mesh.store.catalogue import Port

__all__ = ["LARGEST", "PADDING", "Picture", "Recipe", "open_picture", "recipe_for"]

Picture = NDArray[np.uint8]
"""(height, width, 3): red, green and blue, 0 to 255."""

LARGEST = 64_000_000
"""Pixels of the largest picture that is opened: a few hundred bytes of a file can unpack to gigabytes."""

PADDING = 114
"""Grey that fills what a letterboxed picture leaves free, as the YOLO family expects."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to each pixel: (value * scale - mean) / std, channel by channel in the order of `colours`.

    Attributes:
        input: which of the model's inputs it is for.
        dtype: of that input.
        size: (height, width) that the model takes; 0 leaves that side as it is in the picture.
        fit: "stretch"; "letterbox" keeps the shape and pads on both sides; "corner" pads right and below only.
    """

    input: str
    dtype: str
    layout: Literal["nchw", "nhwc"]
    size: tuple[int, int]
    colours: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fit: Literal["stretch", "letterbox", "corner"] = "stretch"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the input for one picture; 0 where a side is the picture's own."""
        channels = 1 if self.colours == "gray" else 3
        return (1, channels, *self.size) if self.layout == "nchw" else (1, *self.size, channels)

    def __call__(self, picture: Picture) -> dict[str, NDArray[Any]]:
        """The model's input for one picture: a batch of one."""
        fitted = _fitted(picture, self.size, self.fit)
        match self.colours:
            case "bgr":
                pixels: NDArray[Any] = fitted[:, :, ::-1]
            case "gray":
                pixels = np.rint(fitted.astype(np.float32) @ _LUMA)[:, :, None]
            case _:
                pixels = fitted
        if (self.scale, set(self.mean), set(self.std)) != (1.0, {0.0}, {1.0}):
            mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
            pixels = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        if self.layout == "nchw":
            pixels = pixels.transpose(2, 0, 1)
        return {self.input: np.ascontiguousarray(pixels[None].astype(self.dtype))}


def recipe_for(inputs: Sequence[Port], options: Mapping[str, str]) -> Recipe | None:
    """The recipe for a model, by what its inputs declare and what a person says.

    Without a word from anybody: red, green, blue; stretched; 0 to 255 for whole numbers, 0 to 1 for others.

    Args:
        options: any of image, scale, mean, std, layout, fit and size, as `protocols.workshop` explains them.

    Returns:
        None if no input looks like a picture and nobody said that one is.

    Raises:
        BadInput: an option cannot be, or does not fit the model.
    """
    said = options.get("layout")
    found = next((_layout(port, said) for port in inputs if _layout(port, said)), None)
    if found is None:
        if wrong := [name for name in ("image", "scale", "mean", "std", "layout", "fit", "size") if name in options]:
            raise BadInput(
                f"--{wrong[0]} says how a picture becomes an input, and no input of this model is a picture."
            )
        return None
    port, layout, (channels, height, width) = found
    fields: dict[str, Any] = {"input": port.name, "dtype": port.dtype, "layout": layout}
    fields["colours"] = options.get("image", "gray" if channels == 1 else "rgb")
    fields["fit"] = options.get("fit", "stretch")
    fields["scale"] = _number("scale", options["scale"]) if "scale" in options else _usual_scale(port.dtype)
    for name in ("mean", "std"):
        if name in options:
            fields[name] = tuple(_number(name, word) for word in options[name].split(","))
    said_size = _size(options["size"]) if "size" in options else (0, 0)
    fields["size"] = (max(height, 0) or said_size[0], max(width, 0) or said_size[1])
    return _checked(fields, channels)


def open_picture(path: Path) -> Picture:
    """A PNG or JPEG file, turned as its camera was held. Raises BadInput: it cannot be read, or is too large."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > LARGEST:
                raise BadInput(f"{path} has {image.width}x{image.height} pixels: shrink it to {LARGEST:,} or fewer.")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadInput(f"{path} is no picture that can be read: {why}.") from error


def _layout(port: Port, said: str | None) -> tuple[Port, str, tuple[int, int, int]] | None:
    """Whether an input takes pictures: how they lie, and how many channels, rows and columns; -1 is any."""
    if len(port.shape) != 4 or port.shape[0] not in (-1, 1) or port.dtype == "bool":
        return None
    _, first, second, third = port.shape
    if first in (1, 3) and said in (None, "nchw"):
        return port, "nchw", (first, second, third)
    if third in (1, 3) and said in (None, "nhwc"):
        return port, "nhwc", (third, first, second)
    return None


def _checked(fields: Mapping[str, Any], channels: int) -> Recipe:
    try:
        recipe = msgspec.convert(fields, Recipe)
    except msgspec.ValidationError as error:
        raise BadInput(f"How a picture becomes an input cannot be told from the options: {error}.") from error
    if (recipe.colours == "gray") != (channels == 1):
        raise BadInput(f"The model takes pictures of {channels} channels, which {recipe.colours} pictures have not.")
    for name, values in (("mean", recipe.mean), ("std", recipe.std)):
        if len(values) not in (1, channels):
            raise BadInput(f"--{name} takes one number, or one for each of the {channels} channels.")
    if 0.0 in recipe.std:
        raise BadInput("--std must not be 0: pixels are divided by it.")
    return recipe


def _usual_scale(dtype: str) -> float:
    return 1 / 255 if dtype.startswith("float") else 1.0


def _number(name: str, text: str) -> float:
    try:
        return float(Fraction(text.strip().replace(" ", "")))
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"--{name} {text[:40]!r} is no number: write for instance 0.5 or 1/255.") from None


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise BadInput(f"--size {text[:40]!r} is none: write height and width, for instance 416x416.")
    return int(height), int(width)


def _fitted(picture: Picture, size: tuple[int, int], fit: str) -> Picture:
    height, width = picture.shape[:2]
    rows, columns = size[0] or height, size[1] or width
    if fit == "stretch":
        return _resized(picture, rows, columns)
    ratio = min(rows / height, columns / width)
    inner = _resized(picture, max(1, round(height * ratio)), max(1, round(width * ratio)))
    canvas = np.full((rows, columns, 3), PADDING, np.uint8)
    top, left = (0, 0) if fit == "corner" else ((rows - inner.shape[0]) // 2, (columns - inner.shape[1]) // 2)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def _resized(picture: Picture, rows: int, columns: int) -> Picture:
    from PIL import Image

    if picture.shape[:2] == (rows, columns):
        return picture
    return np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR))
