"""Arrows point down: who may import whom."""

from __future__ import annotations

from tests.house.source import OURS, PRODUCT, Module, each_of

FLOORS: list[tuple[str, ...]] = [
    ("mesh.errors",),
    ("mesh.ids", "mesh.blobs", "mesh.tensors", "mesh.wire", "mesh.config", "mesh.resources"),
    ("mesh.messages", "mesh.session", "mesh.identity", "mesh.settings", "mesh.logs"),
    ("mesh.contracts", "mesh.store.contract", "mesh.authority"),
    ("mesh.inbox", "mesh.transport", "mesh.discovery", "mesh.store"),
    ("mesh.admission",),
    ("mesh.group", "mesh.workshop"),
    ("mesh.protocol",),
    ("mesh.control", "mesh.ledger", "mesh.blame", "mesh.plugins"),
    (
        "mesh.crier",
        "mesh.membership",
        "mesh.recruit",
        "mesh.seat",
        "mesh.questions",
        "mesh.store.fetch",
        "mesh.store.vault",
        "mesh.results",
        "mesh.showcase",
    ),
    ("mesh.service", "mesh.browsing"),
    ("mesh.table",),
    ("mesh.desk",),
    ("mesh.node",),
    ("mesh.doors",),
    ("mesh.stream",),
    ("mesh.client",),
    ("mesh.blocking", "mesh.training"),
    ("mesh.assembly", "mesh.doctor"),
    ("mesh.cli",),
    ("mesh.__main__", "mesh"),
]
"""Ground floor first. A package stands where its name says, but for those of its modules that are named themselves."""

SHELF = {
    "mesh.blobs",
    "mesh.errors",
    "mesh.group",
    "mesh.ids",
    "mesh.messages",
    "mesh.protocol",
    "mesh.tensors",
}
"""What an author of protocols may take."""

WORKBENCH = {"mesh.blobs", "mesh.errors", "mesh.store.catalogue", "mesh.tensors", "mesh.workshop"}
"""What may be taken by those who turn a person's files into models and inputs. They never meet a group."""

BOXES = {"mesh.transport.blocking", "mesh.transport.blocking_url"}
"""What code that blocks may take besides, in a child process of its own: the same channels without a loop."""

IN_A_BOX = (
    "protocols.runtimes.box",
    "protocols.runtimes.collectives",
    "protocols.smpc.crypten_bridge",
    "protocols.smpc.inside",
)

AT_THE_WORKBENCH = ("protocols.workshop", "protocols.pictures", "protocols.clips", "protocols.answers")

FOREIGN = {
    "mesh": {
        "PIL", "crypten", "cv2", "libsumo", "numpy", "onnx", "onnxruntime", "onnxscript", "opacus", "protocols",
        "safetensors", "scenarios", "torch", "torchvision",
    },
    "protocols": {
        "aiohttp", "click", "http", "scenarios", "selectors", "socket", "socketserver", "ssl", "urllib", "zeroconf",
    },
    "scenarios": set[str](),
}  # fmt: skip
"""What a package never imports, not even inside a function."""


def _stand(module: str) -> tuple[int, str]:
    """The floor, and the entry of `FLOORS` that put it there: the longest that fits."""
    fitting = [
        (len(entry), level, entry)
        for level, entries in enumerate(FLOORS)
        for entry in entries
        if module == entry or (entry != "mesh" and module.startswith(f"{entry}."))
    ]
    assert fitting, f"{module} stands on no floor: put it on one in FLOORS"
    _, level, entry = max(fitting)
    return level, entry


def _of(*packages: str) -> list[Module]:
    return [module for module in PRODUCT if module.name.split(".")[0] in packages]


@each_of(_of("mesh"))
def test_imports_within_the_mesh_point_down(module: Module) -> None:
    """A module imports from lower floors, or from its own package where that stands on one floor."""
    level, entry = _stand(module.name)
    for other in (name for name in module.imports if name.split(".")[0] == "mesh" and name != module.name):
        below, whose = _stand(other)
        assert below < level or whose == entry, f"{module.name} imports {other}, which is not below it"


@each_of(_of("protocols"))
def test_protocols_take_from_their_shelf_only(module: Module) -> None:
    """A protocol sees of the mesh what an author needs, and a runtime sees its errors."""
    taken = {name for name in module.imports if name.split(".")[0] == "mesh"}
    if module.name.startswith("protocols.runtimes"):
        allowed = {"mesh.errors"} | (BOXES if module.name.startswith(IN_A_BOX) else set())
    elif module.name.startswith(AT_THE_WORKBENCH):
        allowed = WORKBENCH
    else:
        allowed = SHELF | (BOXES if module.name.startswith(IN_A_BOX) else set())
    assert set() == taken - allowed


@each_of(_of("protocols"))
def test_runtimes_know_no_protocol(module: Module) -> None:
    """What computes locally knows nothing of who asked."""
    if module.name.startswith("protocols.runtimes"):
        ours = {name for name in module.imports if name.split(".")[0] in OURS}
        assert set() == {name for name in ours if not name.startswith(("protocols.runtimes", "mesh."))}


@each_of(PRODUCT)
def test_nothing_foreign_comes_in(module: Module) -> None:
    """The mesh knows no ML, and no protocol knows a socket."""
    foreign = FOREIGN[module.name.split(".")[0]]
    assert set() == {name for name in module.imports if name.split(".")[0] in foreign}


def test_no_imports_run_in_circles() -> None:
    """Not even imports for type checkers, or inside functions."""
    arrows = {module.name: sorted(module.imports & {other.name for other in PRODUCT}) for module in PRODUCT}
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in arrows[name]:
                follow(other, (*path, name))
            done.add(name)

    for name in arrows:
        follow(name, ())


def test_every_floor_is_lived_on() -> None:
    """An entry that fits no module is a room that was torn down."""
    stands = {_stand(module.name)[1] for module in _of("mesh")}
    assert {entry for entries in FLOORS for entry in entries} == stands
