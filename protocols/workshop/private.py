"""The workshop for private models: a model becomes a program that everybody may see, and weights that nobody may."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.store.catalogue import Manifest, Port
from mesh.tensors import Tensors
from mesh.workshop import Option, Prepared, Reference
from protocols.arrays import arrays_of
from protocols.pictures import recipe_for
from protocols.workshop.reading import READS, read_inputs
from protocols.workshop.shapes import declared, named_shapes, whole_file
from protocols.workshop.sharded import OnnxWorkshop

if TYPE_CHECKING:
    from protocols.smpc.program.compile import Compiled
    from protocols.smpc.program.ranges import Format, Ranges

__all__ = ["PrivateWorkshop"]

_DTYPES = {"number": "float32", "integer": "int64", "truth": "bool"}

_SAMPLES = 4096
"""Inputs that are tried at most to see how large values become."""


class PrivateWorkshop(OnnxWorkshop):
    """Makes models for the protocol `private`, of one shape each; a batch left open becomes 1."""

    on_request = True
    options = (
        *OnnxWorkshop.options,
        Option("calibrate", "FILE|FOLDER", "Inputs like those to come: how large values become is tried with them."),
        Option("fraction", "BITS", "Bits after the binary point. Default: by calibration, or 18."),
        Option("public-until", "NODE", "All up to this node is no secret, and runs on the device that has the input."),
    )

    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        from protocols.smpc.dealing import SALT, pack_weights
        from protocols.smpc.program.compile import compile_model
        from protocols.smpc.program.prefix import split
        from protocols.smpc.spec import MODES

        self._expect_known(options)
        whole = whole_file(source)
        shapes = _shapes(whole, options)
        public, secret = None, whole
        if "public-until" in options:
            halves = split(whole, options["public-until"], shapes)
            public, secret = halves.public, halves.rest
        compiled = compile_model(secret, shapes={} if public else shapes)
        inputs = _inputs(whole, shapes) if public else _compiled_inputs(whole, compiled)
        recipe = recipe_for(inputs, options)
        program = compiled.program
        weights = pack_weights(program.weights, compiled.weights, secrets.token_bytes(SALT))
        blobs = {BlobRef.of(blob): blob for blob in (weights, public) if blob is not None}
        refs = tuple(blobs)
        spec = {"program": program, "weights": refs[0], **({"prefix": refs[1]} if public else {})}
        manifest = Manifest(
            name=name,
            protocol="private",
            source=BlobRef.of(whole),
            blobs=refs,
            inputs=inputs,
            outputs=tuple(Port(port.name, _DTYPES[port.tensor.kind], port.tensor.shape) for port in program.outputs),
            spec=msgspec.to_builtins(spec),
            notes=msgspec.to_builtins({"modes": MODES, **({"image": recipe} if recipe else {})}),
            kept=("weights",),
        )
        prepared = Prepared(manifest, {ref.digest: blob for ref, blob in blobs.items()})
        return _formatted(prepared, compiled, public, options)

    def reference(self, source: Path, manifest: Manifest) -> Reference:
        from protocols.runtimes.onnx import load

        if manifest.at:
            raise BadInput(f"{manifest.name} is another device's: only who has the model can compare it with its file.")
        whole = whole_file(source)
        if BlobRef.of(whole).digest != manifest.source.digest:
            raise BadInput(f"{source} is not the file that {manifest.name} was made from: compare with that one.")
        part = load([whole])

        def differ(inputs: Mapping[str, Any], answer: Tensors) -> float:
            expected = part.run({name: np.asarray(array) for name, array in inputs.items()})
            return max((_difference(expected[name], array) for name, array in arrays_of(answer).items()), default=0.0)

        return differ


def _difference(expected: NDArray[Any], answer: NDArray[Any]) -> float:
    gap = np.abs(np.asarray(expected, np.float64) - np.asarray(answer, np.float64))
    return float(gap.max(initial=0.0))


def _shapes(whole: bytes, options: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    ones = {port.name: (1, *port.shape[1:]) for port in declared(whole) if port.shape[:1] == (-1,)}
    return {name: sides for name, sides in ones.items() if min(sides) >= 0} | named_shapes(whole, options)


def _compiled_inputs(whole: bytes, compiled: Compiled) -> tuple[Port, ...]:
    dtypes = {port.name: port.dtype for port in declared(whole)}
    return tuple(Port(port.name, dtypes[port.name], port.tensor.shape) for port in compiled.program.inputs)


def _inputs(whole: bytes, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Port, ...]:
    from protocols.runtimes.models import pack
    from protocols.smpc.program.fold import shaped

    fixed = {port.name: port.shape for port in declared(pack(shaped(whole, shapes)))}
    return tuple(replace(port, shape=fixed[port.name]) for port in declared(whole))


def _formatted(prepared: Prepared, compiled: Compiled, public: bytes | None, options: Mapping[str, str]) -> Prepared:
    """With the number format that its values need, and with what there is to say of it."""
    manifest = prepared.manifest
    fraction = _fraction(options)
    if "calibrate" not in options:
        warning = (
            f"{manifest.name} is not calibrated: sums of products must stay under {_limit(fraction or 18):,.0f}, or "
            "answers are wrong without notice. Give inputs like those to come, with --calibrate FILE.npz."
        )
        spec = {**manifest.spec, **({"fraction": fraction} if fraction is not None else {})}
        return Prepared(replace(manifest, spec=spec), prepared.blobs, (warning,))
    from protocols.smpc.program.ranges import chosen, measured

    ranges = measured(compiled.program, compiled.weights, _crossing(public, _samples(options["calibrate"], manifest)))
    found = chosen(compiled.program, ranges, fraction)
    program = replace(compiled.program, bits=found.bits)
    within = {port.name: ranges.bounds[port.tensor.number] for port in program.inputs if port.tensor.kind == "number"}
    spec = {
        **manifest.spec,
        **msgspec.to_builtins(
            {
                "program": program,
                "fraction": found.fraction,
                "calibrated": found.fraction,
                "within": within,
            }
        ),
    }
    notes = {**manifest.notes, "range": _told(compiled, ranges, found)}
    said = _sentences(compiled, ranges, found, manifest.name)
    return Prepared(replace(manifest, spec=spec, notes=notes), prepared.blobs, said)


def _fraction(options: Mapping[str, str]) -> int | None:
    if "fraction" not in options:
        return None
    text = options["fraction"]
    if not (text.isascii() and text.isdigit() and int(text) <= 30):
        raise BadInput(f"--fraction {text[:20]!r} is none: fixed-point numbers have 0 to 30 fractional bits.")
    return int(text)


def _limit(fraction: int) -> float:
    return 2.0 ** (62 - 2 * fraction)


def _told(compiled: Compiled, ranges: Ranges, found: Format) -> dict[str, Any]:
    number, largest = ranges.largest(compiled.program)
    return {
        "samples": ranges.samples,
        "largest": float(f"{largest:.4g}"),
        "layer": compiled.names.get(number, f"value {number}"),
        "fraction": found.fraction,
        "compared on": found.bits,
        "off by": float(f"{found.error:.2g}"),
    }


def _sentences(compiled: Compiled, ranges: Ranges, found: Format, name: str) -> tuple[str, ...]:
    from protocols.smpc.program.ranges import MARGIN, largest_sum

    number, largest = ranges.largest(compiled.program)
    said = [
        f"{name}: tried with {ranges.samples} inputs. The largest value is {largest / MARGIN:.4g}, of "
        f"{compiled.names.get(number, number)!r}, and {MARGIN:g} times that is allowed for: "
        f"{found.fraction} fractional bits, compared on {found.bits}."
    ]
    if found.wraps is not None:
        layer = compiled.names.get(found.wraps, str(found.wraps))
        said.append(
            f"Warning: {layer!r} comes to {largest_sum(compiled.program, ranges):.3g}, and with {found.fraction} "
            f"fractional bits only {_limit(found.fraction):.3g} is held: answers will be wrong. Scale the inputs down, "
            f"put a normalisation before {layer!r}, or leave that part public with --public-until."
        )
    elif found.fraction < 14:
        said.append(
            f"Values are so large that only {found.fraction} fractional bits are left, which is coarse: scale the "
            "inputs down, or normalise."
        )
    return tuple(said)


def _crossing(public: bytes | None, samples: Iterator[dict[str, NDArray[Any]]]) -> Iterator[dict[str, NDArray[Any]]]:
    """The inputs of the secret part."""
    if public is None:
        yield from samples
        return
    from protocols.runtimes.onnx import load

    with load([public]) as part:
        for sample in samples:
            yield {**sample, **part.run({name: sample[name] for name in part.inputs})}


def _samples(place: str, manifest: Manifest) -> Iterator[dict[str, NDArray[Any]]]:
    path = Path(place)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in READS) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"--calibrate: {path} holds no file that inputs are read from: those are {', '.join(READS)}.")
    count = 0
    for file in files:
        for tensors in read_inputs(file, manifest):
            count += 1
            if count > _SAMPLES:
                return
            yield arrays_of(tensors)
