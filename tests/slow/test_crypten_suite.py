"""CrypTen's own tests, file by file, over our backend: they must pass where they pass over gloo on the same torch.

Left out are the files that fail to import on this torch, those for CUDA, and `test_gradients` and `test_mpc`, which
take half an hour each: `python -m tests.slow.crypten_party mesh test_mpc` runs them by hand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("crypten") is None, reason="CrypTen comes with the extra 'private'"),
]

PASSING = (
    "test_communicator",
    "test_common",
    "test_context",
    "test_debug",
    "test_distributions",
    "test_optim",
    "test_binary",
    "test_arithmetic",
    "test_autograd",
    "test_privacy_models",
)


@pytest.mark.parametrize("name", PASSING)
def test_passes_over_the_mesh(name: str) -> None:
    """What passes over gloo passes over the mesh: nothing fails, and at least one test ran."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.slow.crypten_party", "mesh", name],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    ran = re.search(r"Ran (\d+) tests?", finished.stderr)

    assert (0, True) == (finished.returncode, ran is not None and int(ran[1]) > 0), finished.stderr[-3000:]
