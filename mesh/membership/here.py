"""This device's part in the membership: its statements under its certificate, its facts, and where it listens."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.admission.requests import key_of
from mesh.contracts import Address, Sighting, Transport
from mesh.discovery.interfaces import choose, local_interfaces
from mesh.discovery.multicast import literal
from mesh.errors import ConfigError
from mesh.identity import Identity
from mesh.membership.statements import Facts, SignedStatements, Voice, signer, verifier
from mesh.membership.swim import Membership

__all__ = ["advertised", "membership"]

MakeFacts = Callable[[int], Facts]


def membership(
    transport: Transport,
    identity: Callable[[], Identity],
    facts: MakeFacts,
    seeds: Callable[[], Sequence[Sighting]],
    changed: Callable[[], None],
) -> Membership:
    """This device's part. Raises IdentityError: its papers cannot be read.

    Args:
        identity: this device's, as it is now.
        facts, seeds, changed: see `Membership`.
    """
    mine = identity()
    sign = signer(key_of(mine.key.read_bytes()))

    def certificate() -> bytes:
        return x509.load_pem_x509_certificate(identity().certificate.read_bytes()).public_bytes(Encoding.DER)

    def roots() -> Sequence[x509.Certificate]:
        return x509.load_pem_x509_certificates(identity().root.read_bytes())

    return Membership(
        transport,
        Voice(facts, SignedStatements(mine.mesh, certificate, sign, verifier(roots)), first=int(time.time())),
        seeds,
        chance=random.Random(secrets.randbits(64)),
        changed=changed,
    )


def advertised(listening: Sequence[Address], interfaces: Sequence[str]) -> tuple[str, ...]:
    """Where others reach a device that listens at these addresses: an address of each interface, for "anywhere"."""
    found: list[str] = []
    for address in listening:
        ip = literal(address)
        if not ip.is_unspecified:
            found.append(str(address))
            continue
        try:
            chosen = choose(local_interfaces(), interfaces or None, [ip])
        except ConfigError:
            continue
        usable = [at for one in chosen for at in one.ips if at.version == ip.version and not at.is_loopback]
        found += [str(Address(str(at), address.port)) for at in usable]
    return tuple(dict.fromkeys(found))[:8]
