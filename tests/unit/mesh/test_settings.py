"""A flag is stronger than the environment, that than a file, and that than a default."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.errors import ConfigError
from mesh.settings import Places, settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "mesh.toml", tmp_path / "state", tmp_path / "run/control.sock")


def test_the_stronger_source_wins(places: Places) -> None:
    """Each setting comes from the strongest source that names it, and says which."""
    places.file.write_text('port = 1\nowner = "file"\nseats = 3\n')
    environ = {"MESH_PORT": "2", "MESH_OWNER": "environment", "HOME": "/"}
    found = settings({"port": 3, "owner": None}, environ=environ, places=places)
    expected = [(3, "flag"), ("environment", "environment, MESH_OWNER"), (3, f"file, {places.file}"), (1, "default")]
    names = ["port", "owner", "seats", "threads"]
    assert expected == [(getattr(found.config, name), found.origins[name]) for name in names]


def test_a_state_folder_of_its_own_brings_a_socket_of_its_own(places: Places) -> None:
    """Whoever runs several nodes names a folder for each, and nothing else."""
    assert places.control == settings(environ={}, places=places).config.control
    assert Path("/srv/a/control.sock") == settings({"state": "/srv/a"}, environ={}, places=places).config.control
    both = settings({"state": "/srv/a", "control": "/srv/b"}, environ={}, places=places)
    assert Path("/srv/b") == both.config.control


def test_the_usual_file_may_be_missing_and_a_named_one_not(places: Places, tmp_path: Path) -> None:
    """A file that somebody named is meant to be read."""
    assert 7411 == settings(environ={}, places=places).config.port
    with pytest.raises(ConfigError, match="no such file"):
        settings(file=tmp_path / "other.toml", environ={}, places=places)
    with pytest.raises(ConfigError, match="no such file"):
        settings(environ={"MESH_CONFIG": str(tmp_path / "other.toml")}, places=places)


def test_what_is_wrong_is_told_with_its_source(places: Places) -> None:
    """A wrong word of the environment and a wrong file are told by name."""
    with pytest.raises(ConfigError, match="MESH_PORT in the environment"):
        settings(environ={"MESH_PORT": "x"}, places=places)
    places.file.write_text("port = = 1")
    with pytest.raises(ConfigError, match=str(places.file)):
        settings(environ={}, places=places)


def test_root_and_others_have_their_usual_places() -> None:
    """The system's folders for root; the XDG ones for anybody else, with the socket beside the state at worst."""
    assert Path("/run/mesh/control.sock") == Places.usual({}, root=True).control
    assert Path("/h/.local/state/mesh/control.sock") == Places.usual({"HOME": "/h"}, root=False).control
    told = Places.usual({"HOME": "/h", "XDG_RUNTIME_DIR": "/r", "XDG_STATE_HOME": "/s"}, root=False)
    assert (Path("/h/.config/mesh/mesh.toml"), Path("/s/mesh"), Path("/r/mesh/control.sock")) == (
        told.file,
        told.state,
        told.control,
    )
