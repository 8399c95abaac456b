"""What the doctor finds on a device that is well, and on devices that are not."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from mesh.authority import Authority, Policy
from mesh.config import NodeConfig
from mesh.contracts import Address
from mesh.doctor.findings import Finding, worst
from mesh.doctor.machine import machine
from mesh.doctor.network import network
from mesh.doctor.papers import papers

WELL = {
    "proc/meminfo": "MemAvailable: 4000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "proc/self/cgroup": "0::/device\n",
    "proc/pressure/memory": "some avg10=0.00 avg60=1.00 avg300=0.00 total=1\n",
    "proc/sys/net/core/somaxconn": "4096\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/fs/cgroup/device/cpu.max": "max 100000\n",
    "run/systemd/timesync/synchronized": "",
}

ILLS = {
    "memory": {"proc/meminfo": "MemAvailable: 100000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"},
    "swap": {"proc/meminfo": "MemAvailable: 4000000 kB\nSwapTotal: 1000000 kB\nSwapFree: 100000 kB\n"},
    "memory pressure": {"proc/pressure/memory": "some avg10=0.00 avg60=44.00 avg300=0.00 total=1\n"},
    "cpu quota": {"sys/fs/cgroup/device/cpu.max": "5000 100000\n"},
    "governor": {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"},
    "somaxconn": {"proc/sys/net/core/somaxconn": "8\n"},
}


def laid_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def by_check(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return NodeConfig.loopback(tmp_path / "state")


@pytest.fixture
def member(config: NodeConfig, tmp_path: Path) -> NodeConfig:
    Authority.create(tmp_path / "authority", mesh="oak-street").issue(config.identity)
    return config


def test_a_machine_that_is_well(config: NodeConfig, tmp_path: Path) -> None:
    """Nothing is wrong where nothing is."""
    assert worst(list(machine(config, root=laid_out(tmp_path, WELL)))) == "OK"


@pytest.mark.parametrize("ill", ILLS)
def test_each_ill_is_found_and_has_a_cure(config: NodeConfig, tmp_path: Path, ill: str) -> None:
    """One thing that is wrong is one warning, of that thing, with what mends it; the rest is well."""
    found = by_check(machine(config, root=laid_out(tmp_path, WELL | ILLS[ill])))

    assert [check for check, finding in found.items() if finding.level != "OK"] == [ill]
    assert found[ill].cure


def test_a_machine_that_tells_nothing(config: NodeConfig, tmp_path: Path) -> None:
    """Where the kernel's files are not there, what they would tell is left out, or said to be nothing; no crash."""
    assert by_check(machine(config, root=tmp_path))["memory"].level == "WARN"


def test_papers_that_are_in_order(member: NodeConfig, tmp_path: Path) -> None:
    """A member with a clock that is kept right has nothing to mend."""
    assert worst(list(papers(member, root=laid_out(tmp_path, WELL)))) == "OK"


def test_a_device_in_no_mesh(config: NodeConfig, tmp_path: Path) -> None:
    """It is told how to get in."""
    found = by_check(papers(config, root=laid_out(tmp_path, WELL)))["identity"]
    assert (found.level, found.cure) == ("FAIL", "mesh join TOKEN, or mesh init --mesh NAME for a first device")


def test_a_key_that_others_can_read(member: NodeConfig, tmp_path: Path) -> None:
    """It fails, with the very command."""
    (member.identity / "key.pem").chmod(0o644)
    found = by_check(papers(member, root=laid_out(tmp_path, WELL)))["identity"]
    assert (found.level, "chmod 600" in found.said) == ("FAIL", True)


def test_certificates_that_are_about_to_end(config: NodeConfig, tmp_path: Path) -> None:
    """A device's in under a week that nobody renews, and an authority's in under a month, are warned of."""
    short = Policy(authority_days=20, device_days=3, renewed_hours=1)
    Authority.create(tmp_path / "authority", mesh="oak-street", policy=short).issue(config.identity)
    found = by_check(papers(config, root=laid_out(tmp_path, WELL)))
    assert (found["certificate"].level, found["authority"].level) == ("WARN", "WARN")


def test_a_clock_that_went_back(member: NodeConfig, tmp_path: Path) -> None:
    """It fails; a clock that nothing keeps right is warned of."""
    assert by_check(papers(member, root=tmp_path))["clock"].level == "WARN"
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    (member.identity / "clock").write_text(later.isoformat())
    assert by_check(papers(member, root=laid_out(tmp_path, WELL)))["clock"].level == "FAIL"


async def test_a_port_that_is_taken(config: NodeConfig) -> None:
    """It fails if no node of this device has it; it is well if one has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = [Address("127.0.0.1", taken.getsockname()[1])]
        for running, level in ((False, "FAIL"), (True, "OK")):
            found = [finding async for finding in network(config, bind, running=running)]
            assert {each.level for each in found if each.check == f"port {bind[0].port}"} == {level}


async def test_multicast_that_comes_back(config: NodeConfig) -> None:
    """On the loopback interface this device hears itself."""
    found = [finding async for finding in network(config, [], running=False)]
    assert [(finding.check, finding.level) for finding in found] == [("multicast lo", "OK")]
