"""Run a script over the mesh: `python -m protocols.runtimes.collectives [-m MODULE | SCRIPT] [ARGUMENT ...]`.

The script may say `init_process_group("mesh", init_method=...)` itself; the init method is explained in
`mesh.transport.blocking_url`. Or it is any script of torch.distributed, and the environment says where to meet:

    MESH_MEETING='mesh://PEER@HOST:PORT,PEER@HOST:PORT?identity=FOLDER&session=NAME' \\
        python -m protocols.runtimes.collectives train.py

Then every backend that the script names means the mesh's, and RANK, WORLD_SIZE and the rest are in its environment as
launchers of torch put them there. Under such a launcher, `{rank}` in FOLDER is what it says in RANK:

    MESH_MEETING=... torchrun --nproc-per-node 2 -m protocols.runtimes.collectives train.py
"""

from __future__ import annotations

import os
import runpy
import sys

from mesh.errors import BadInput, ConfigError
from mesh.transport.blocking_url import Invitation, open_url
from protocols.runtimes.collectives import register
from protocols.runtimes.collectives.standin import places, stand_in

_USAGE = "say which script to run: python -m protocols.runtimes.collectives [-m MODULE | SCRIPT] [ARGUMENT ...]"


def main() -> None:
    """Register, and become the script."""
    del sys.argv[0]
    module = sys.argv[:1] == ["-m"]
    if module:
        del sys.argv[0]
    if not sys.argv:
        raise BadInput(_USAGE)
    register(open_url)
    if "MESH_MEETING" in os.environ:
        _stand_in(os.environ["MESH_MEETING"])
    if module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def _stand_in(url: str) -> None:
    if "RANK" in os.environ:
        url += f"&rank={os.environ['RANK']}"
    invitation = Invitation.parse(url)
    rank, (_, first) = invitation.rank(), invitation.roster[0]
    if os.environ.get("RANK", str(rank)) != str(rank):
        raise ConfigError(f"RANK is {os.environ['RANK']}, but {invitation.identity} has place {rank} in the meeting.")
    for name, value in places(rank, len(invitation.roster), first.host, first.port).items():
        os.environ.setdefault(name, value)
    stand_in(url, rank, len(invitation.roster))


if __name__ == "__main__":
    main()
