"""Settings are refused by name, and a configuration that is written down is the same when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.config import NodeConfig, Size, from_text, to_toml
from mesh.errors import ConfigError

STATE, CONTROL = Path("/srv/state"), Path("/srv/control.sock")


def read(text: str) -> NodeConfig:
    return NodeConfig.from_toml(text, state=STATE, control=CONTROL)


def test_what_is_written_reads_back_the_same() -> None:
    """`mesh config show` prints a file that gives the same settings again."""
    config = read('port = 0\npeers = ["a", "b"]\nmemory = "512MB"\nowner = "über \\"us\\""\nlog_format = "json"')
    assert config == read(to_toml(config, {"port": "a note", "owner": "another"}))


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1", 1), ("512MB", 512_000_000), ("2 GiB", 2 * 2**30), ("1.5kB", 1500), ("3gb", 3_000_000_000), ("0", 0)],
)
def test_sizes_are_written_as_people_write_them(text: str, bytes_: int) -> None:
    """A unit of a thousand or of 1024, in any case, and a bare number is bytes."""
    assert bytes_ == Size.parse(text)


@pytest.mark.parametrize("text", ["", "many", "5 parsecs", "-1", "1e9", "MB", "True"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match="is no size"):
        Size.parse(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot"),
        ('port = "x"', "port: expected"),
        ("port = 65536", "port: 65536"),
        ('peers = ["a", 1]', r"peers\[1\]"),
        ('memory = "x"', "memory: 'x'"),
        ("heartbeat = 0", "heartbeat"),
        ("threads = 0", "threads"),
        ("seats = 0", "seats"),
        ('log_level = "loud"', "log_level: expected one of debug"),
        ('log_format = "xml"', "log_format: expected one of auto"),
        (f'control = "/{"x" * 110}"', "control"),
        ('offers = ["digits"]', "offers: 'digits'"),
        ('offers = ["digits=ann"]', "offers: 'digits=ann'"),
        ('receives = ["ann"]', "receives: 'ann'"),
        ('parties = ["ann"]', "parties: 'ann'"),
        ('boxes = "7420-7419"', "boxes: '7420-7419'"),
        ('boxes = "some"', "boxes: 'some'"),
        ("port 1", "no TOML"),
        ("[node]\nport = 1", "node"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(text: str, named: str) -> None:
    """A person learns which key is wrong, and starts no node that differs from what was meant."""
    with pytest.raises(ConfigError, match=named):
        read(text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "7500", 7500),
        ("discovery", "false", False),
        ("heartbeat", "2", 2.0),
        ("peers", "a@b:1  c@d:2", ("a@b:1", "c@d:2")),
        ("owner", "12", "12"),
        ("log_level", "debug", "debug"),
    ],
)
def test_words_of_the_environment_become_settings(name: str, text: str, value: object) -> None:
    """A word is read as what the setting is; lists are separated by blanks."""
    assert value == from_text(name, text)


def test_ports_for_boxes_are_a_range() -> None:
    """Or one port, or any."""
    found = [read(text).box_ports for text in ('boxes = "7420-7439"', 'boxes = "7420"', "")]
    assert [(7420, 7439), (7420, 7420), (0, 0)] == found


def test_a_preset_for_one_device_shows_nothing_to_others() -> None:
    """Several nodes on one device listen on the loopback interface alone, each with a port and a socket of its own."""
    config = NodeConfig.loopback(STATE)
    assert (("lo",), 0, STATE / "control.sock") == (config.interfaces, config.port, config.control)
