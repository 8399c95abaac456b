"""Scripts for CrypTen at several devices: processes of their own, over mutual TLS."""

from __future__ import annotations

import re
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from scenarios import hospitals
from scenarios.hospitals.launch import run_at_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("crypten") is None, reason="CrypTen comes with the extra 'private'"),
]

STUDY = str(Path(hospitals.__file__).with_name("study.py"))
PRODUCT = """
    import crypten, torch
    crypten.init()
    x = torch.arange(12.0).view(3, 4) - 5
    secret = crypten.cryptensor(x, src=1)
    print(crypten.get_cryptensor_type(secret), crypten.communicator.get().get_world_size())
    print(float((secret.matmul(secret.t()).relu().get_plain_text() - x.matmul(x.t()).relu()).abs().max()))
"""
LEAVING = """
    if crypten.communicator.get().get_rank() == 2:
        import os
        os._exit(3)
    for _ in range(100):
        secret.get_plain_text()
"""


def written(folder: Path, text: str) -> str:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    return str(script)


def test_hospitals_train_together_and_each_keeps_shares(tmp_path: Path) -> None:
    """The example learns something, and what the three kept is the model when put together, and noise one by one."""
    ended = run_at_all(3, [STUDY, "--epochs", "2", "--keep", str(tmp_path)])
    assert [0, 0, 0] == [device.returncode for device in ended], ended[0].stderr[-2000:]
    found = re.search(r"right about (\d+) of (\d+)", ended[0].stdout)
    assert found is not None
    assert int(found[1]) > 0.7 * int(found[2])
    shares = [torch.load(tmp_path / f"shares-{rank}.pt", weights_only=True) for rank in range(3)]
    for name, held in shares[0].items():
        number = sum(device[name][0] for device in shares)
        assert torch.equal(held[1], shares[1][name][0])
        assert float(number.abs().max()) < 2**22
        assert float(held[0].abs().max()) > 2**50


def test_what_is_opened_may_be_larger_than_what_a_channel_holds(tmp_path: Path) -> None:
    """Eight megabytes to all three: nobody waits for a reader that is writing itself."""
    opening = PRODUCT + "    print(int((crypten.cryptensor(torch.ones(2**20)).get_plain_text() == 1).sum()))\n"
    ended = run_at_all(3, [written(tmp_path, opening)], timeout=120)
    assert [0, 0, 0] == [device.returncode for device in ended], ended[0].stderr[-2000:]
    assert ["1048576"] * 3 == [device.stdout.split()[-1] for device in ended]


@pytest.mark.parametrize("devices", [2, 4])
def test_cryptens_own_type_computes_with_a_dealer_who_does_not(tmp_path: Path, devices: int) -> None:
    """For two devices and for four, with one more that makes their triples and ends with them."""
    ended = run_at_all(devices, [written(tmp_path, PRODUCT)], dealer=True)
    assert [0] * (devices + 1) == [device.returncode for device in ended], ended[-1].stderr[-2000:]
    kind, error = ended[0].stdout.splitlines()[:2]
    assert f"mpc {devices}" == kind
    assert float(error) < 0.01


def test_a_provider_chosen_on_the_way_is_refused(tmp_path: Path) -> None:
    """TFP, set between two products, ends the script with a sentence that says what to do."""
    switch = PRODUCT + "    crypten.cfg.mpc.provider = 'TFP'\n    secret * secret\n"
    ended = run_at_all(2, [written(tmp_path, switch)], dealer=True)
    assert [1, 1] == [device.returncode for device in ended[:2]]
    assert "replicated3" in ended[0].stderr


def test_three_devices_are_needed(tmp_path: Path) -> None:
    """The replicated type says so, and names the other."""
    ended = run_at_all(2, [written(tmp_path, PRODUCT)])
    assert [1, 1] == [device.returncode for device in ended]
    assert "mpc" in ended[0].stderr


def test_a_device_that_leaves_is_named_at_the_others(tmp_path: Path) -> None:
    """In seconds, and not by a silence."""
    ended = run_at_all(3, [written(tmp_path, PRODUCT + LEAVING)], timeout=60)
    assert [1, 1, 3] == [device.returncode for device in ended]
    assert "PeerLost" in ended[0].stderr
    assert "PeerLost" in ended[1].stderr
