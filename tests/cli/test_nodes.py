"""Real nodes, as a person runs them: found by multicast on the loopback interface, used by commands and programs."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from mesh import blocking
from tests.cli.street import Neighbour, mesh, neighbour, street


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Neighbour]]:
    with street(tmp_path_factory.mktemp("street"), ["ada", "bob", "cyd"]) as found:
        yield found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of convolutions, long enough to be cut."""
    random, names = np.random.default_rng(1), [f"v{at}" for at in range(7)]
    weights = [
        onnx.numpy_helper.from_array(random.standard_normal((8, 8, 3, 3)).astype(np.float32), f"w{at}")
        for at in range(6)
    ]
    nodes = [
        onnx.helper.make_node("Conv", [names[at], f"w{at}"], [names[at + 1]], pads=[1, 1, 1, 1], name=f"n{at}")
        for at in range(6)
    ]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 8, 16, 16]) for name in (names[0], names[-1])]
    graph = onnx.helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    made = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13)])
    path = tmp_path_factory.mktemp("model") / "chain.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_nodes_find_each_other_and_prove_who_they_are(nodes: list[Neighbour]) -> None:
    """`mesh peers` shows the others, ready, by the ids that their keys make."""
    found = json.loads(mesh("peers", "--json", state=nodes[0].state).stdout)
    others = {node.ready["peer"] for node in nodes[1:]}
    assert others == {peer["peer"] for peer in found if peer["peer"] in others and peer["state"] == "ready"}
    table = mesh("peers", state=nodes[0].state).stdout
    assert all(peer[:7] in table for peer in others)


def test_status_is_for_people_and_for_programs(nodes: list[Neighbour]) -> None:
    """Both name the same node."""
    told = json.loads(mesh("status", "--json", state=nodes[1].state).stdout)
    assert (nodes[1].ready["peer"], "test", nodes[1].process.pid) == (told["peer"], told["mesh"], told["pid"])
    assert told["peer"] in mesh("status", state=nodes[1].state).stdout


def test_a_model_cut_over_three_devices_answers_as_it_does_on_one(
    nodes: list[Neighbour], model: Path, tmp_path: Path
) -> None:
    """Byte for byte, from the command line and from a program."""
    state, frames = nodes[0].state, np.random.default_rng(2).standard_normal((12, 8, 16, 16)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    added = mesh("models", "add", "chain", model, "--json", state=state)
    assert (0, "chain") == (added.returncode, json.loads(added.stdout)["name"]), added.stderr
    for mode, flags in (("local", ()), ("sharded", ("--parts", "3"))):
        out = tmp_path / f"{mode}.npz"
        source = tmp_path / "frames.npy"
        ran = mesh("infer", "chain", "--input", source, "--mode", mode, *flags, "--out", out, "--json", state=state)
        assert 0 == ran.returncode, ran.stderr
        report = json.loads(ran.stdout)
        assert (12, 0, len(flags) + 1) == (report["answers"], report["replayed"], len(report["plan"]["stages"]))
    with np.load(tmp_path / "local.npz") as local, np.load(tmp_path / "sharded.npz") as sharded:
        assert local["v6"].tobytes() == sharded["v6"].tobytes()
        whole = local["v6"]
    with blocking.connect(state / "control.sock") as node:
        answer = node.infer("chain", {"v0": frames[3:4]}, mode="sharded", parts=2)
        assert whole[3].tobytes() == np.asarray(answer["v6"]).tobytes()
    assert "chain" in mesh("models", "list", state=state).stdout
    assert "made from" in mesh("models", "show", "chain", state=state).stdout
    assert 0 == mesh("models", "remove", "chain", state=state).returncode
    refused = mesh("infer", "chain", "--input", tmp_path / "frames.npy", state=state)
    assert (1, True) == (refused.returncode, "there is no model 'chain'" in refused.stderr)


def test_a_second_node_on_the_same_state_is_refused(nodes: list[Neighbour]) -> None:
    """It would be the same device twice."""
    second = mesh("up", "--port", "0", "--interface", "lo", state=nodes[0].state)
    assert (78, True) == (second.returncode, "runs on" in second.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_that_is_told_to_stop_leaves_cleanly(nodes: list[Neighbour], number: signal.Signals) -> None:
    """Exit code 0, no socket left, its peers told at once; and what it logged is JSON, a line each."""
    state = nodes[0].state.parent / f"guest-{number.name}"
    issued = mesh("ca", "issue", "--authority", state.parent / "authority", state=state)
    assert 0 == issued.returncode, issued.stderr
    assert 0o700 == stat.S_IMODE((state / "identity").stat().st_mode)
    with neighbour(state, "--log-format", "json") as guest:
        asyncio.run(_in_sight(nodes[0], guest.ready["peer"], here=True))
        code, said = guest.stop(number)
        asyncio.run(_in_sight(nodes[0], guest.ready["peer"], here=False))
    assert (0, False) == (code, (state / "control.sock").exists())
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines[-1]["message"].startswith("stopping")
    assert {"time", "level", "logger", "message"} <= set(lines[0])


@pytest.mark.parametrize("prefix", ["", "@"])
def test_systemd_is_told_when_a_node_is_ready_and_when_it_stops(
    nodes: list[Neighbour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """By the socket that it names, in the file system or outside of it."""
    state, path = tmp_path / "state", f"{tmp_path}/notify"
    assert 0 == mesh("ca", "issue", "--authority", nodes[0].state.parent / "authority", state=state).returncode
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if prefix else path)
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", prefix + path)
        with neighbour(state) as guest:
            assert b"READY=1" == manager.recv(100)
            guest.stop()
        assert b"STOPPING=1" == manager.recv(100)


async def _in_sight(node: Neighbour, peer: str, *, here: bool) -> None:
    async with asyncio.timeout(30):
        while here != (peer in {found.peer for found in await node.client.peers() if found.state != "gone"}):
            pass
