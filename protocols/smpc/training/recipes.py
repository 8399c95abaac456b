"""A training job as a person writes it: a TOML file, and what it leaves out.

name = "risk"                    # of the job; the file's own name, if left out
model = "logistic"               # or linear, perceptron, digits; or write `layers` and `loss`
split = "columns"                # or rows
label = "y"
epochs = 10
batch = 32

[optimiser]
kind = "momentum"
rate = 0.05

[[data]]
peer = "north-clinic"            # an owner's name, the beginning of a device's id, or me
table = "patients"               # what that device's settings call it

[[data]]
peer = "south-clinic"
table = "patients"
labels = false
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mesh.errors import BadInput
from protocols.smpc.training.spec import TrainingSpec

__all__ = ["MODELS", "read_recipe"]

MODELS = ("logistic", "linear", "perceptron", "digits")
"""Networks that have a name: one output with the logistic loss, or with the squared one; layers of `hidden` widths and
`classes` outputs; a small network of convolutions for pictures of one channel, of shape (1, height, width)."""


def read_recipe(source: Path) -> TrainingSpec:
    """The job that a file describes.

    Raises:
        BadInput: it cannot be read, or says what cannot be; names what.
    """
    try:
        fields = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{source} cannot be read as a training job: {error}.") from error
    fields = {"name": re.sub(r"[^a-z0-9._-]", "-", source.stem.lower()), **fields}
    fields |= _network(fields.pop("model", None), fields)
    if isinstance(fields.get("receivers"), str):
        fields["receivers"] = [fields["receivers"]]
    known = set(TrainingSpec.__dataclass_fields__)
    if unknown := fields.keys() - known:
        raise BadInput(
            f"{source.name} says {min(unknown)[:80]!r}, which is unknown: known are {', '.join(sorted(known))}."
        )
    try:
        spec = msgspec.convert(fields, TrainingSpec)
    except msgspec.ValidationError as error:
        raise BadInput(f"{source.name}: {error}.") from error
    if (trouble := spec.trouble()) is not None:
        raise BadInput(f"{source.name}: {trouble}")
    return spec


def _network(model: object, fields: dict[str, Any]) -> Mapping[str, Any]:
    hidden, classes = fields.pop("hidden", [128]), fields.pop("classes", 10)
    if model is None:
        return {}
    if "layers" in fields or "loss" in fields:
        raise BadInput("Say either `model`, or `layers` and `loss`.")
    match model:
        case "logistic":
            return {"layers": [_dense(1)], "loss": "logistic"}
        case "linear":
            return {"layers": [_dense(1)], "loss": "squared"}
        case "perceptron":
            wide = [layer for size in hidden for layer in (_dense(size), {"kind": "relu"})]
            ends = {"layers": [*wide, _dense(1)], "loss": "logistic"}
            return ends if classes == 2 else {"layers": [*wide, _dense(classes)], "loss": "cross-entropy"}
        case "digits":
            convolved = [{"kind": "conv", "size": 6, "kernel": 5, "stride": 2}, {"kind": "relu"}]
            flat = [{"kind": "max-pool", "size": 2}, {"kind": "flatten"}]
            wide = [_dense(32), {"kind": "relu"}, _dense(classes)]
            return {
                "layers": [*convolved, *flat, *wide],
                "loss": "cross-entropy",
                "shape": fields.get("shape", [1, 28, 28]),
            }
    raise BadInput(f"There is no model {str(model)[:80]!r} that can be trained: use {', '.join(MODELS)}, or `layers`.")


def _dense(size: object) -> dict[str, Any]:
    return {"kind": "dense", "size": size}
