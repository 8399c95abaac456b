"""The workshop for private training: TOML files that describe jobs, and models of what comes of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.store.catalogue import Manifest, Port
from mesh.tensors import Tensors
from mesh.workshop import Prepared, TrainingWorkshop
from protocols.arrays import arrays_of

if TYPE_CHECKING:
    from protocols.smpc.training.network import Laid
    from protocols.smpc.training.spec import TrainingSpec

__all__ = ["PrivateTrainingWorkshop"]

_ANSWERS = ("step", "total", "epoch", "columns", "loss_steps", "losses")


class PrivateTrainingWorkshop(TrainingWorkshop):
    """Prepares jobs of the protocol `private-training`. Requests are numbers of steps, and have no files."""

    suffixes = (".toml",)
    reads = ()
    writes = (".onnx",)
    on_request = True

    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        from protocols.smpc.training.recipes import read_recipe

        if options:
            raise BadInput(f"A training job takes no option {min(options)[:80]!r}: say it in {source.name}.")
        spec = read_recipe(source)
        text = source.read_bytes()
        manifest = Manifest(
            name=name or f"{spec.name}.job",
            protocol="private-training",
            source=BlobRef.of(text),
            blobs=(),
            inputs=(Port("until", "int64", ()),),
            outputs=tuple(Port(word, "float64" if word == "losses" else "int64", ()) for word in _ANSWERS),
            spec=msgspec.to_builtins(spec),
        )
        return Prepared(manifest, {})

    def read(self, source: Path, manifest: Manifest) -> Iterator[Tensors]:
        raise BadInput(f"{manifest.name} is a training job: run it with `mesh train`.")

    def write(self, target: Path, answers: Iterable[Tensors]) -> int:
        raise BadInput("A training job's answers are not written: `mesh train --out` writes the model.")

    def made(self, manifest: Manifest, answer: Tensors) -> tuple[Mapping[str, bytes], Prepared | None]:
        from protocols.smpc.training.exporting import onnx_of
        from protocols.smpc.training.spec import SHARES, TrainingSpec

        spec, arrays = msgspec.convert(manifest.spec, TrainingSpec), arrays_of(answer)
        network = spec.network(int(arrays["columns"]))
        files = {".onnx": onnx_of(spec, network, arrays)} if "w0" in arrays else {}
        return files, _served(spec, network) if SHARES in spec.receivers else None


def _served(spec: TrainingSpec, network: tuple[Laid, ...]) -> Prepared:
    """A model of the protocol `private` whose weights are what the three keep."""
    from protocols.smpc.dealing import SALT, pack_weights
    from protocols.smpc.program.compile import compile_model
    from protocols.smpc.training.exporting import onnx_of

    compiled = compile_model(onnx_of(spec, network, None, batch=1))
    program = compiled.program
    weights = pack_weights(program.weights, compiled.weights, secrets.token_bytes(SALT))
    ref = BlobRef.of(weights)
    held = {port.name: f"{spec.name}:{port.name}" for port in program.inputs if port.name != "x"}
    manifest = Manifest(
        name=spec.name,
        protocol="private",
        source=BlobRef.of(b""),
        blobs=(ref,),
        inputs=tuple(Port(port.name, "float32", port.tensor.shape) for port in program.inputs if port.name == "x"),
        outputs=tuple(Port(port.name, "float32", port.tensor.shape) for port in program.outputs),
        spec=msgspec.to_builtins({"program": program, "weights": ref, "held": held, "fraction": spec.fraction}),
        notes={"modes": {"private": {"secret": "both"}}},
        kept=("weights",),
    )
    return Prepared(manifest, {ref.digest: weights})
