"""Makes CrypTen 0.4.1 importable: torch has moved a module since that it asks for by its old name."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from mesh.errors import ConfigError

__all__ = ["crypten"]

_OLD = "torch.onnx._internal.registration"


def _imported() -> Any:
    try:
        from torch.onnx._internal.torchscript_exporter import registration
    except ImportError as error:
        raise ConfigError("The bridge needs torch 2.13: install the extra 'private'.") from error
    sys.modules.setdefault(_OLD, registration)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it takes from torch, some is on its way out
            import crypten as found
    except ImportError as error:
        raise ConfigError("CrypTen 0.4.1 is not installed: it comes with the extra 'private'.") from error
    return found


crypten: Any = _imported()
"""The package. Whoever takes it from here need not know that its import is special."""
