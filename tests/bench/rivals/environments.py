"""Environments for the systems that ours is compared with: a folder each, made once, out of the repository's sight.

    python -m tests.bench.rivals.environments [crypten] [spu]

Their dependencies and ours do not agree, hence one each. What cannot be installed here is said, and `private` then
goes on without it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["NEEDS", "python_of"]

ROOT = Path(__file__).parents[3]

NEEDS: dict[str, tuple[str, ...]] = {
    # CrypTen names packages that it does not import, one of which does not install: its own few are named here.
    "crypten": ("--no-deps", "crypten==0.4.1", "torch==2.13.0", "numpy", "onnx", "onnxscript", "onnx_ir", "omegaconf",
                "PyYAML", "protobuf", "typing_extensions", "filelock", "sympy", "mpmath", "networkx", "Jinja2",
                "MarkupSafe", "fsspec", "antlr4-python3-runtime", "ml_dtypes", "packaging"),
    "spu": ("spu==0.9.5",),
}  # fmt: skip
"""What pip is asked for, by system."""


def python_of(system: str) -> Path | None:
    """The interpreter that has it, None where it has not been made. Of `ours` it is the one that runs this."""
    if system == "ours":
        return Path(sys.executable)
    python = _folder(system) / "bin" / "python"
    return python if (_folder(system) / ".made").is_file() else None


def make(system: str) -> str | None:
    """Make its environment if there is none. Why that failed, None if it did not."""
    if python_of(system) is not None:
        return None
    folder = _folder(system)
    venv.create(folder, with_pip=True, clear=True)
    constraints = ("-c", str(ROOT / "constraints.txt")) if system == "crypten" else ()
    command = [folder / "bin" / "python", "-m", "pip", "install", "-q", *constraints, *NEEDS[system]]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        return ran.stderr.strip().rpartition("\n")[2]
    (folder / ".made").touch()
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", choices=[*NEEDS, []], metavar="SYSTEM")
    failed = {system: make(system) for system in parser.parse_args().systems or NEEDS}
    for system, why in failed.items():
        print(f"{system}: {'ready' if why is None else f'not here: {why}'}")
    sys.exit(any(failed.values()))


def _folder(system: str) -> Path:
    return Path(os.environ.get("VEILMESH_BENCH", ROOT / ".venv-bench")) / system


if __name__ == "__main__":
    main()
