"""Run a script with the backend in place: `python -m protocols.runtimes.collectives SCRIPT [ARGUMENT ...]`.

The script says `init_process_group("mesh", init_method=...)`, or takes both from its arguments or environment, and is
otherwise as it would be for any backend. The init method is explained in `mesh.transport.blocking_url`.
"""

from __future__ import annotations

import runpy
import sys

from mesh.errors import BadInput
from mesh.transport.blocking_url import open_url
from protocols.runtimes.collectives import register


def main() -> None:
    """Register, and become the script."""
    if len(sys.argv) < 2:
        raise BadInput("say which script to run: python -m protocols.runtimes.collectives SCRIPT [ARGUMENT ...]")
    register(open_url)
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
