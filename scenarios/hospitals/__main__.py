"""`python -m scenarios.hospitals`: the study at three devices, all on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

from scenarios.hospitals.launch import run_at_all


def main() -> None:
    """Show what each device says."""
    study = Path(__file__).with_name("study.py")
    for number, device in enumerate(run_at_all(3, [str(study), *sys.argv[1:]])):
        for line in (device.stdout + (device.stderr if device.returncode else "")).splitlines():
            sys.stdout.write(f"device {number}: {line}\n")
        if device.returncode:
            raise SystemExit(device.returncode)


if __name__ == "__main__":
    main()
