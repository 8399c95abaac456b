"""A workshop: turns a person's files into models, a model's inputs and outputs, for one kind of model.

The mesh knows no file formats. Whoever brings a protocol brings a workshop with it, under the entry point group
`mesh.workshops`; it works in the process of the person who asked, never in the node's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mesh.errors import BadInput
from mesh.store.catalogue import Manifest
from mesh.tensors import Tensors

__all__ = ["Option", "Prepared", "Reference", "TrainingWorkshop", "Workshop"]


@dataclass(frozen=True, slots=True)
class Option:
    """Something that a person may say of a model when adding it.

    Attributes:
        name: as on the command line, without dashes.
        takes: what may be said, in words.
        purpose: one sentence.
    """

    name: str
    takes: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that is ready to be kept.

    Attributes:
        blobs: the bytes of each blob that the manifest lists, by digest.
        notices: sentences that whoever adds it should read.
    """

    manifest: Manifest
    blobs: Mapping[str, bytes]
    notices: tuple[str, ...] = ()


Reference = Callable[[Mapping[str, Any], Tensors], float]
"""(inputs by name, answer) -> by how much any number of the answer differs at most from what the model's file gives
for these inputs, in the clear and on this device."""


class Workshop(ABC):
    """What can be done with files of one kind of model. Every method blocks, some of them for seconds.

    Attributes:
        suffixes: of model files that it prepares, such as ".onnx".
        reads: of files that hold inputs.
        writes: of files that answers can be written to.
        options: what `prepare` takes.
        on_request: whether it makes models only for those who name its protocol, whatever files it reads.
    """

    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[tuple[str, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    on_request: ClassVar[bool] = False

    @abstractmethod
    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        """Make a model file ready for the mesh.

        Raises:
            BadInput: it is none, or cannot be run in parts, or an option cannot be; says what would do.
        """

    def reference(self, source: Path, manifest: Manifest) -> Reference:
        """What a model's answers are compared with: the file that it was made from, run as it is.

        Raises:
            BadInput: that is another file, or this kind of model is not compared with anything.
        """
        raise BadInput(f"Answers of {manifest.protocol} models are not compared with anything.")

    @abstractmethod
    def read(self, source: Path, manifest: Manifest) -> Iterator[Tensors]:
        """The model's inputs in a file, one after the other; nothing is read ahead.

        Raises:
            BadInput: the file cannot be read, or does not fit the model.
        """

    @abstractmethod
    def write(self, target: Path, answers: Iterable[Tensors]) -> int:
        """Write answers to a file as they come, and say how many there were. The file is there whole or not at all.

        Raises:
            BadInput: the file cannot be written, or is of no kind that is known.
        """


class TrainingWorkshop(Workshop):
    """One whose files say how a model is to be trained, and that makes models of what comes of it."""

    @abstractmethod
    def made(self, manifest: Manifest, answer: Tensors) -> tuple[Mapping[str, bytes], Prepared | None]:
        """What a training job's last answer is made into.

        Args:
            manifest: of the job, as `prepare` made it.

        Returns:
            The model as files, by suffix, where this device was told the model; and the model as others of its kind are
            kept, where it stays as shares.
        """
