"""The workshop for ONNX models that are run in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from numpy.typing import NDArray

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.store.catalogue import Manifest
from mesh.tensors import Tensors
from mesh.workshop import Option, Prepared, Workshop
from protocols.answers import SUFFIXES, write_answers
from protocols.pictures import recipe_for
from protocols.workshop.reading import READS, read_inputs
from protocols.workshop.shapes import named_shapes, port_of, whole_file

__all__ = ["OnnxWorkshop"]

Array = NDArray[Any]

_MODES: Mapping[str, Mapping[str, Any]] = {"local": {"where": "here", "parts": 1}, "sharded": {"where": "anywhere"}}
"""Ways to run a model: fields of `ShardedSpec` that each of them settles."""


class OnnxWorkshop(Workshop):
    """Makes models for the protocol `sharded`."""

    suffixes = (".onnx",)
    reads = READS
    writes = SUFFIXES
    options: ClassVar[tuple[Option, ...]] = (
        Option("image", "rgb|bgr|gray", "Order of colours that the model was trained on. Default: rgb, or gray."),
        Option("scale", "NUMBER", "What pixels of 0 to 255 are multiplied by. Default: 1/255, or 1 for whole numbers."),
        Option("mean", "A[,B,C]", "Subtracted after scaling, for each channel or all. Default: 0."),
        Option("std", "A[,B,C]", "Divided by after that. Default: 1."),
        Option("layout", "nchw|nhwc", "How a picture lies in the input. Default: by the input's shape."),
        Option("fit", "stretch|letterbox|corner", "How a picture fills the input. Default: stretch."),
        Option("size", "HEIGHTxWIDTH", "What free sides of the input are. Default: as in each picture."),
        Option("shape", "INPUT=AxBx...", "Shape of an input in a typical request, where the model leaves it open."),
    )

    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        from protocols.sharded import prepare as sharded

        self._expect_known(options)
        whole = whole_file(source)
        prepared = sharded.prepare(whole, _sample(whole, options))
        inputs, outputs = (tuple(map(port_of, infos)) for infos in (prepared.info.inputs, prepared.info.outputs))
        recipe = recipe_for(inputs, options)
        refs = [BlobRef.of(blob) for blob in prepared.blobs]
        manifest = Manifest(
            name=name,
            protocol="sharded",
            source=BlobRef.of(whole),
            blobs=tuple(refs),
            inputs=inputs,
            outputs=outputs,
            spec=msgspec.to_builtins({"model": prepared.info, "blobs": refs}),
            notes=msgspec.to_builtins({"modes": _MODES, "image": recipe} if recipe else {"modes": _MODES}),
        )
        return Prepared(manifest, {ref.digest: blob for ref, blob in zip(refs, prepared.blobs, strict=True)})

    def read(self, source: Path, manifest: Manifest) -> Iterator[Tensors]:
        return read_inputs(source, manifest)

    def write(self, target: Path, answers: Iterable[Tensors]) -> int:
        return write_answers(target, answers)

    def _expect_known(self, options: Mapping[str, str]) -> None:
        if unknown := options.keys() - {option.name for option in self.options}:
            known = ", ".join(option.name for option in self.options)
            raise BadInput(f"There is no option {min(unknown)[:40]!r} for ONNX models: there are {known}.")


def _sample(whole: bytes, options: Mapping[str, str]) -> dict[str, Array] | None:
    """Inputs of the shapes that a person named; None where nobody did."""
    if not options.keys() & {"shape", "size"}:
        return None
    from protocols.runtimes.models import parse
    from protocols.sharded.prepare import sample_of

    model = parse(whole)
    inputs = {value.name: value for value in model.graph.input}
    for name, sides in named_shapes(whole, options).items():
        for dim, side in zip(inputs[name].type.tensor_type.shape.dim, sides, strict=False):
            dim.dim_value = side
    return sample_of(model)
