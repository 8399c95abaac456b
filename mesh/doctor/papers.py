"""A device's clock, keys and certificates."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from mesh.admission.enrolment import read_door, require_time
from mesh.admission.renewal import WARNINGS, due
from mesh.config import NodeConfig
from mesh.doctor.findings import Finding, fail, ok, warning
from mesh.errors import ConfigError, IdentityError
from mesh.identity import Identity, require_private

__all__ = ["papers"]

_BUILT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""No clock that is right says an earlier time than this."""

_SYNCHRONISED = ("run/systemd/timesync/synchronized", "run/chrony/chronyd.pid", "run/ntpd.pid", "run/ntpsec/ntpd.pid")


def papers(config: NodeConfig, *, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at the clock first: what is said of certificates rests on it.

    Args:
        root: where the system's files lie.
    """
    yield _clock(config.identity, root)
    try:
        identity = Identity.load(config.identity)
    except IdentityError as error:
        yield _no_identity(config, error)
        return
    yield ok("identity", f"{identity.peer.short} of the mesh {identity.mesh}, key readable by its owner alone")
    yield _certificate(identity)
    yield _authority(identity.root)
    if (config.authority / "authority.key.pem").exists():
        yield _authority_key(config)


def _clock(folder: Path, root: Path) -> Finding:
    now = datetime.datetime.now(datetime.UTC)
    said = f"it is {now:%Y-%m-%d %H:%M} UTC here"
    try:
        require_time(folder)
    except IdentityError as error:
        return fail("clock", str(error), "timedatectl set-ntp true")
    if now < _BUILT:
        return fail("clock", f"{said}, which cannot be", "timedatectl set-ntp true")
    if not any((root / name).exists() for name in _SYNCHRONISED):
        return warning("clock", f"{said}; nothing here seems to keep it right", "timedatectl set-ntp true")
    return ok("clock", f"{said}, and something keeps it right")


def _no_identity(config: NodeConfig, error: IdentityError) -> Finding:
    if not (config.identity / "key.pem").exists():
        cure = "mesh join TOKEN, or mesh init --mesh NAME for a first device"
        return fail("identity", f"this device is in no mesh: {config.identity} holds no key", cure)
    return fail("identity", str(error), "see the message; certs/README.md says what lies where")


def _certificate(identity: Identity) -> Finding:
    left = identity.expires - datetime.datetime.now(datetime.UTC)
    said = f"ends {identity.expires:%Y-%m-%d %H:%M} UTC, in {_span(left)}"
    try:
        door = read_door(identity.certificate.parent)
    except ConfigError as error:
        return warning("certificate", str(error), "mesh leave --offline, and join again")
    if door is not None:
        late = due(identity.certificate, identity.peer) <= datetime.datetime.now(datetime.UTC)
        if not late:
            return ok("certificate", f"{said}; renewed by itself before that")
        cure = f"is the authority's node up, at {', '.join(door.addresses)}? A node here renews as soon as it answers"
        return warning("certificate", f"{said}, and its renewal is overdue", cure)
    if left < datetime.timedelta(days=WARNINGS[1]):
        return warning("certificate", f"{said}, and nobody renews it", "have the authority sign it anew: mesh ca sign")
    return ok("certificate", f"{said}; it was made by hand, so somebody has to renew it")


def _authority(root: Path) -> Finding:
    roots = x509.load_pem_x509_certificates(root.read_bytes())
    last = max(certificate.not_valid_after_utc for certificate in roots)
    left = last - datetime.datetime.now(datetime.UTC)
    said = f"this mesh's authority ends {last:%Y-%m-%d}, in {_span(left)}"
    if left < datetime.timedelta(days=WARNINGS[0]):
        return warning("authority", said, "found its successor in time: certs/README.md")
    return ok("authority", said)


def _authority_key(config: NodeConfig) -> Finding:
    key = config.authority / "authority.key.pem"
    try:
        require_private(key)
    except IdentityError as error:
        return fail("authority key", str(error), f"chmod 600 {key}")
    locked = b"ENCRYPTED" in key.read_bytes()
    if locked and not config.passphrase_file:
        cure = "mesh up --passphrase-file FILE"
        return warning("authority key", "it is kept here and locked, so nobody is let in and nothing renewed", cure)
    return ok("authority key", "it is kept here: this device lets others in. Keep a copy of the folder elsewhere")


def _span(left: datetime.timedelta) -> str:
    hours = left.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
