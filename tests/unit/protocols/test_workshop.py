"""Files become models and inputs in the process of whoever asks, and what does not fit is said before it travels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.messages import canonical
from mesh.store.catalogue import Manifest, Port
from mesh.workshop import Prepared
from protocols.arrays import arrays_of, tensors_of
from protocols.runtimes.onnx import load
from protocols.workshop import OnnxWorkshop, PrivateWorkshop


def model(folder: Path, shape: tuple[int | str, ...] = (1, 3, 4, 6)) -> Path:
    """Two convolutions; what it is does not matter here."""
    weight = onnx.numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")
    nodes = [onnx.helper.make_node("Conv", [a, "w"], [b], name=b) for a, b in (("images", "mid"), ("mid", "out"))]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("images", "out")]
    graph = onnx.helper.make_graph(nodes, "two", ends[:1], ends[1:], [weight])
    made = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13)])
    path = folder / "two.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def prepare(path: Path, **options: str) -> Prepared:
    return OnnxWorkshop().prepare(path, name="two", options=options)


def arrays_manifest(*ports: Port) -> Manifest:
    return Manifest("m", "sharded", BlobRef.of(b""), (), ports, (), {})


def test_a_model_is_described_with_all_that_it_is_made_of(tmp_path: Path) -> None:
    """Every blob under its name, the inputs as declared, and how pictures become them."""
    made = prepare(model(tmp_path), image="bgr", scale="1")
    assert {ref.digest for ref in made.manifest.blobs} == set(made.blobs)
    assert all(BlobRef.of(blob).digest == digest for digest, blob in made.blobs.items())
    assert (Port("images", "float32", (1, 3, 4, 6)),) == made.manifest.inputs
    assert ("bgr", 1.0) == (made.manifest.notes["image"]["colours"], made.manifest.notes["image"]["scale"])
    assert {"local", "sharded"} == set(made.manifest.notes["modes"])


def test_a_size_that_a_model_leaves_open_can_be_said(tmp_path: Path) -> None:
    """The model is measured with pictures of that size, and gets such pictures."""
    path = model(tmp_path, (1, 3, "height", "width"))
    small, large = (prepare(path, size=size).manifest for size in ("8x8", "32x32"))
    assert (Port("images", "float32", (1, 3, -1, -1)),) == small.inputs
    assert small.spec["model"]["values"][0]["size"] * 16 == large.spec["model"]["values"][0]["size"]
    by_shape = prepare(path, shape="images=1x3x8x8").manifest
    assert small.spec["model"]["values"] == by_shape.spec["model"]["values"]


@pytest.mark.parametrize(
    "options", [{"colour": "red"}, {"shape": "images"}, {"shape": "nope=1x3"}, {"shape": "images=axb"}, {"std": "0"}]
)
def test_an_option_that_cannot_be_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    """In words, and with what could be."""
    with pytest.raises(BadInput):
        prepare(model(tmp_path), **options)


def test_pictures_become_inputs(tmp_path: Path) -> None:
    """One file, one request."""
    made = prepare(model(tmp_path))
    Image.new("RGB", (60, 40), (255, 0, 0)).save(tmp_path / "red.png")
    (request,) = OnnxWorkshop().read(tmp_path / "red.png", made.manifest)
    array = arrays_of(request)["images"]
    assert ((1, 3, 4, 6), 1.0, 0.0) == (array.shape, array[0, 0].min(), array[0, 1].max())


@pytest.mark.parametrize(
    ("shape", "port", "requests"),
    [
        ((1, 3, 4, 6), (1, 3, 4, 6), 1),
        ((5, 3, 4, 6), (1, 3, 4, 6), 5),
        ((5, 1, 3, 4, 6), (1, 3, 4, 6), 5),
        ((5, 3, 4, 6), (-1, 3, 4, 6), 1),
        ((5, 2), (2,), 5),
        ((7,), (), 7),
    ],
)
def test_an_array_is_one_request_or_one_for_each_step(
    tmp_path: Path, shape: tuple[int, ...], port: tuple[int, ...], requests: int
) -> None:
    """By what the model declares; a batch is cut up where the model takes one at a time."""
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    found = list(OnnxWorkshop().read(tmp_path / "x.npy", arrays_manifest(Port("x", "float32", port))))
    assert requests == len(found)
    assert len(port) == len(found[0]["x"].shape)


def test_several_inputs_come_from_one_archive(tmp_path: Path) -> None:
    """Each under its name, as many of each."""
    manifest = arrays_manifest(Port("a", "float32", (2,)), Port("b", "int64", ()))
    np.savez(tmp_path / "x.npz", a=np.zeros((3, 2), np.float32), b=np.arange(3))
    assert [0, 1, 2] == [int(arrays_of(request)["b"]) for request in OnnxWorkshop().read(tmp_path / "x.npz", manifest)]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.zeros((3, 2), np.float32)}, "has no array 'b'"),
        ({"a": np.zeros((3, 2), np.float32), "b": np.arange(2)}, "as many of each"),
        ({"a": np.zeros((3, 2)), "b": np.arange(3)}, "takes float32, not float64"),
        ({"a": np.zeros((1, 1, 3, 2), np.float32), "b": np.arange(3)}, "takes"),
        ({"c": np.zeros(3)}, "takes no 'c'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:  # type: ignore[type-arg]
    """Before anything is sent to anybody."""
    manifest = arrays_manifest(Port("a", "float32", (2,)), Port("b", "int64", ()))
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=said):
        list(OnnxWorkshop().read(tmp_path / "x.npz", manifest))


def test_objects_in_disguise_are_never_unpickled(tmp_path: Path) -> None:
    """An .npy file may hold a program; it is not run."""
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        file.write(b"\x80\x04N.")  # the smallest program there is: None
    with pytest.raises(BadInput, match="cannot be read"):
        list(OnnxWorkshop().read(tmp_path / "x.npy", arrays_manifest(Port("x", "float32", ()))))


@pytest.mark.parametrize("name", ["x.txt", "x.mp3", "x"])
def test_other_files_are_refused_by_their_ending(name: str) -> None:
    """With those that would do."""
    with pytest.raises(BadInput, match=r"those are \.npy"):
        OnnxWorkshop().read(Path(name), arrays_manifest())


def test_a_model_for_private_inference_keeps_its_weights_apart(tmp_path: Path) -> None:
    """One blob of weights, a program that holds none of them, and a batch that is left open becomes one."""
    made = PrivateWorkshop().prepare(model(tmp_path, ("N", 3, 4, 6)), name="two", options={"image": "bgr"})
    manifest = made.manifest
    assert ("private", ["private"]) == (manifest.protocol, list(manifest.notes["modes"]))
    assert (Port("images", "float32", (1, 3, 4, 6)),) == manifest.inputs
    (blob,) = made.blobs.values()
    assert [BlobRef.of(blob)] == list(manifest.blobs)
    assert np.ones(9, np.float32).tobytes() == blob[16:]
    assert ("weights",) == manifest.kept
    assert manifest.notes["image"]["colours"] == "bgr"


def test_what_cannot_be_computed_on_shares_is_said_when_the_model_is_added(tmp_path: Path) -> None:
    """With the operator that stands in the way; and a shape that nobody gave, with how to give it."""
    node = onnx.helper.make_node("NonZero", ["x"], ["y"], name="y")
    ends = [
        onnx.helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("x", onnx.TensorProto.FLOAT, [2, 2]), ("y", onnx.TensorProto.INT64, [2, "N"]))
    ]
    graph = onnx.helper.make_graph([node], "strange", ends[:1], ends[1:])
    made = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13)])
    (tmp_path / "strange.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(BadInput, match="NonZero"):
        PrivateWorkshop().prepare(tmp_path / "strange.onnx", name="strange", options={})
    with pytest.raises(BadInput, match="no fixed shape"):
        PrivateWorkshop().prepare(model(tmp_path, (1, 3, "height", "width")), name="two", options={})


def test_the_same_weights_are_never_called_the_same(tmp_path: Path) -> None:
    """Whoever guesses them cannot ask for them by their hash."""
    path = model(tmp_path)
    first, second = (PrivateWorkshop().prepare(path, name="two", options={}).manifest for _ in range(2))
    assert first.blobs != second.blobs


def test_whoever_borrows_a_model_is_told_no_name_of_any_weight(tmp_path: Path) -> None:
    """Neither the weights' blob nor the file's, nor what calibration found."""
    np.save(tmp_path / "x.npy", np.ones((2, 1, 3, 4, 6), np.float32))
    made = PrivateWorkshop().prepare(model(tmp_path), name="two", options={"calibrate": str(tmp_path / "x.npy")})
    told = canonical(made.manifest.for_others(("modes", "image"))).decode()
    for ref in (*made.manifest.blobs, made.manifest.source):
        assert ref.digest not in told
    assert "range" not in told


def test_calibration_chooses_the_format_and_says_so(tmp_path: Path) -> None:
    """From a file or a folder of them; without it, the default is warned of."""
    np.save(tmp_path / "x.npy", np.full((3, 1, 3, 4, 6), 2.0, np.float32))
    path = model(tmp_path)
    for place in (tmp_path / "x.npy", tmp_path):
        made = PrivateWorkshop().prepare(path, name="two", options={"calibrate": str(place)})
        assert {"images": 4.0} == made.manifest.spec["within"]
        assert made.manifest.spec["program"]["bits"] < 64
        assert "tried with 3 inputs" in made.notices[0]
    assert "not calibrated" in PrivateWorkshop().prepare(path, name="two", options={}).notices[0]


def test_what_overflows_is_warned_of_with_the_layer_and_the_cure(tmp_path: Path) -> None:
    """Before anybody runs it."""
    np.save(tmp_path / "x.npy", np.full((1, 3, 4, 6), 5e6, np.float32))
    options = {"calibrate": str(tmp_path / "x.npy"), "fraction": "20"}
    said = PrivateWorkshop().prepare(model(tmp_path), name="two", options=options).notices
    assert any("Warning: 'out'" in sentence and "Scale the inputs down" in sentence for sentence in said)


def test_the_public_beginning_is_a_model_of_its_own(tmp_path: Path) -> None:
    """It takes what the model takes, and the program takes what it gives; the file's own answer is what both make."""
    path = model(tmp_path)
    made = PrivateWorkshop().prepare(path, name="two", options={"public-until": "mid"})
    assert (Port("images", "float32", (1, 3, 4, 6)),) == made.manifest.inputs
    assert "mid" == made.manifest.spec["program"]["inputs"][0]["name"]
    public = next(ref for ref in made.manifest.blobs if ref.digest == made.manifest.spec["prefix"]["digest"])
    x = np.ones((1, 3, 4, 6), np.float32)
    with load([made.blobs[public.digest]]) as part:
        np.testing.assert_array_equal(np.full_like(x, 3), part.run({"images": x})["mid"])
    compare = PrivateWorkshop().reference(path, made.manifest)
    assert 0 == compare({"images": x}, tensors_of({"out": np.full_like(x, 9)}))
    assert 2 == compare({"images": x}, tensors_of({"out": np.full_like(x, 7)}))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"public-until": "nowhere"}, "no node 'nowhere'.*mid"),
        ({"public-until": "out"}, "Nothing would be left"),
        ({"fraction": "31"}, "--fraction"),
        ({"calibrate": "nothing.npz"}, "cannot be read"),
    ],
)
def test_private_options_that_cannot_be_are_sentences(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    """Before anything is kept."""
    with pytest.raises(BadInput, match=sentence):
        PrivateWorkshop().prepare(model(tmp_path), name="two", options=options)


def test_answers_are_compared_with_the_file_they_come_from(tmp_path: Path) -> None:
    """Another file is refused."""
    made = PrivateWorkshop().prepare(model(tmp_path), name="two", options={})
    other = model(tmp_path, (1, 3, 8, 8))
    with pytest.raises(BadInput, match="not the file"):
        PrivateWorkshop().reference(other, made.manifest)
