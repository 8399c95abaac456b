"""CrypTen's own tests on our tensors: what does not pass is named here, with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find_spec("crypten") is None, reason="CrypTen comes with the extra 'private'"),
]

BINARY = "asks for binary sharing, which belongs to CrypTen's own type"
ONE_SHARE = "hands each party one share, where ours has two"
THREADS = "looks at the process's log or state, which three threads share here"
TORCH = "fails on this torch with CrypTen's own type as well"

LEFT_OUT: dict[str, dict[str, str]] = {
    "test_autograd": {"test_autograd_registation": THREADS},
    "test_optim": {},
    "test_distributions": {},
    "test_gradients": {},
    "test_mpc": {
        "test_from_shares": ONE_SHARE,
        "test_share_attr": ONE_SHARE,
        "test_ptype": BINARY,
        "test_to": BINARY,
        "test_repr": "expects the plain text in debug mode: ours is never shown by printing",
        "test_repeat_expand": "compares addresses of shares, which ours stacks anew each time",
        "test_encrypt_decrypt": "passes but for its last line, which wants a ValueError where ours is a Misuse",
    },
    "test_nn": {
        "test_dropout_module": "is skipped by CrypTen",
        "test_from_shares": ONE_SHARE,
        "test_state_dict": TORCH,
        "test_global_avg_pool_module": "wants averages of integers to the last bit; ours round to a neighbour",
        "test_parameter_initializations": "shares memory that nobody has written, which ours refuses as out of range",
    },
}


@pytest.mark.parametrize("file", LEFT_OUT)
def test_cryptens_tests_pass_on_our_tensors(file: str) -> None:
    """All but those that are named, file by file."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.slow.crypten_over_bridge", file],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(finished.stdout.splitlines()[-1])
    failed = {name: why for name, why in results.items() if why is not None and name not in LEFT_OUT[file]}
    assert {} == failed
    assert len(results) > len(LEFT_OUT[file])
