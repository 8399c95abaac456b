"""Run a script written for CrypTen, unchanged: `python -m protocols.smpc.crypten_bridge SCRIPT [ARGUMENT ...]`.

    RENDEZVOUS='mesh://PEER@HOST:PORT,...?identity=FOLDER&session=NAME' python -m protocols.smpc.crypten_bridge SCRIPT

on each of three devices. Where the script says `crypten.init()`, it means `crypten_bridge.init()`. With `--mpc` before
the script its tensors are CrypTen's own, for two devices or more; the last device named in RENDEZVOUS makes their
triples, and runs `--deal` instead of a script. With `--checked` a party that cheats is found out before anything is
opened.
"""

from __future__ import annotations

import functools
import runpy
import sys

from mesh.errors import BadInput
from protocols.smpc.crypten_bridge.names import crypten
from protocols.smpc.crypten_bridge.start import deal, init


def main() -> None:
    """Take the place of `crypten.init`, and become the script."""
    if sys.argv[1:] == ["--deal"]:
        deal()
        return
    crypten.init = init
    if sys.argv[1:2] == ["--mpc"]:
        crypten.cfg.mpc.provider = "TTP"
        crypten.init = functools.partial(init, kind="mpc")
        del sys.argv[1]
    elif sys.argv[1:2] == ["--checked"]:
        crypten.init = functools.partial(init, checked=True)
        del sys.argv[1]
    if len(sys.argv) < 2:
        raise BadInput("Say which script to run: python -m protocols.smpc.crypten_bridge SCRIPT [ARGUMENT ...]")
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
    if crypten.is_initialized():  # after an error the others are to see that we are lost, and not that we are done
        crypten.uninit()


if __name__ == "__main__":
    main()
