"""Python runs this at its start where this folder is on its path: the keys of every TLS connection go into files.

Nothing else about the process changes. NAME.client and NAME.server, after the environment's EVIDENCE_KEYS, take lines
in the format that Wireshark reads too (draft-ietf-tls-keylogfile).
"""

from __future__ import annotations

import os
import ssl
from typing import Any

_KEYS = os.environ.get("EVIDENCE_KEYS", "")


def _overheard(name: str, server_side: int) -> Any:
    """The method of that name, which sees to it first that the keys of its connection are written down."""
    original = getattr(ssl.SSLContext, name)

    def wrap(context: ssl.SSLContext, *given: Any, **named: Any) -> Any:
        server = named.get("server_side", given[server_side] if len(given) > server_side else False)
        context.keylog_filename = f"{_KEYS}.{'server' if server else 'client'}"
        return original(context, *given, **named)

    return wrap


if _KEYS:
    setattr(ssl.SSLContext, "wrap_socket", _overheard("wrap_socket", 1))  # noqa: B010 -- mypy lets no method be assigned
    setattr(ssl.SSLContext, "wrap_bio", _overheard("wrap_bio", 2))  # noqa: B010
