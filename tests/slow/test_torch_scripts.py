"""Scripts of torch.distributed that know nothing of the mesh: what they print over gloo, they print over the mesh."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from mesh.authority import Authority
from mesh.transport.blocking import Listener

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("torch") is None, reason="torch comes with the extra 'private'"),
]

SCRIPTS = Path(__file__).parent / "scripts"
LAUNCHER = [sys.executable, "-W", "ignore", "-m", "protocols.runtimes.collectives"]


def meeting(folder: Path, size: int) -> str:
    """Devices of one mesh on this machine, and where they meet."""
    authority = Authority.create(folder / "authority", mesh="scripts")
    members = [authority.issue(folder / str(rank)) for rank in range(size)]
    with ExitStack() as stack:
        places = [stack.enter_context(Listener()).address for _ in members]
    parties = ",".join(f"{member.peer}@{place}" for member, place in zip(members, places, strict=True))
    return f"mesh://{parties}?identity={folder}/{{rank}}&session=scripts&within=200"


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def printed(command: list[str], ranks: int, **environment: str) -> list[list[str]]:
    """The lines of every rank, started as a launcher of torch starts them."""
    port = free_port()
    running = [
        subprocess.Popen(
            command,
            env={**ours(), **place(rank, ranks, port), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    lines = [process.communicate()[0].splitlines() for process in running]
    assert [0] * ranks == [process.returncode for process in running]
    return lines


def ours() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def place(rank: int, ranks: int, port: str) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


@pytest.mark.parametrize(("script", "ranks"), [("train.py", 2), ("tour.py", 3)])
def test_prints_the_same_as_over_gloo(script: str, ranks: int, tmp_path: Path) -> None:
    """DistributedDataParallel trains to the same bits, and every call of torch.distributed gives the same values."""
    path = str(SCRIPTS / script)
    over_gloo = printed([sys.executable, "-W", "ignore", path], ranks)
    over_mesh = printed([*LAUNCHER, path], ranks, MESH_MEETING=meeting(tmp_path, ranks))

    assert over_gloo == over_mesh
    assert over_gloo[0]


def test_under_the_launcher_of_torch(tmp_path: Path) -> None:
    """torchrun starts the ranks; the script is the one that runs over gloo."""
    finished = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", free_port(), "-m", "protocols.runtimes.collectives", str(SCRIPTS / "train.py")),
        ],
        env={**ours(), "MESH_MEETING": meeting(tmp_path, 2)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in finished.stdout.splitlines()]

    assert (0, [["0", "True"], ["1", "True"]]) == (finished.returncode, sorted(line[:2] for line in lines)), finished
    assert lines[0][2:] == lines[1][2:]


def test_a_place_that_is_not_ours(tmp_path: Path) -> None:
    """A launcher that gives a rank to another device's identity is refused with a sentence, before anybody is met."""
    url = meeting(tmp_path, 2).replace("{rank}", "1")
    finished = subprocess.run(
        [*LAUNCHER, str(SCRIPTS / "train.py")],
        env={**ours(), **place(0, 2, "1"), "MESH_MEETING": url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (1, True) == (finished.returncode, "RANK is 0, but" in finished.stderr), finished.stderr
