"""What runs in the boxes of `test_box.py`: does as it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import msgspec

from mesh.errors import PeerLost
from protocols.runtimes.box_inside import Report, serve


class Order(msgspec.Struct, frozen=True):
    what: str
    number: int = 0


class Done(msgspec.Struct, frozen=True):
    text: str


RUNAWAY = """
from subprocess import DEVNULL, Popen
print(Popen(["sleep", "600"], start_new_session=True, stdout=DEVNULL, stderr=DEVNULL).pid)
"""


def obey(order: Order, report: Report) -> Done:
    match order.what:
        case "count":
            for number in range(order.number):
                report(Done(str(number)))
        case "print":
            print("this is not for the pipe")
            return Done(sys.stdin.read())
        case "lose":
            raise PeerLost("abcdefghij", "It went out.")
        case "crash":
            raise ZeroDivisionError("by what was asked")
        case "allocate":
            return Done(str(len(bytearray(order.number))))
        case "burn":
            while True:
                pass
        case "sleep":
            threading.Event().wait()
        case "child":
            return Done(str(subprocess.Popen(["sleep", "600"]).pid))
        case "runaway":  # leaves the box's process group, and loses the parent that would answer for it
            return Done(
                subprocess.run([sys.executable, "-c", RUNAWAY], capture_output=True, check=True).stdout.decode()
            )
        case "nice":
            return Done(str(os.nice(0)))
        case "large":
            return Done("x" * order.number)
    return Done(str(os.getpid()))


if __name__ == "__main__":
    serve(Order, obey)
