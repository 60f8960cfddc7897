"""Tidegate: build, sign, publish and verify agent bundles.

The names below are the public Python interface; each is imported on first use, so `import tidegate` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.bundle.unpack import unpack
    from tidegate.errors import TidegateError
    from tidegate.releases.pull import pull
    from tidegate.releases.verify import verify

__version__ = "0.1.0"
__all__ = ["TidegateError", "__version__", "pull", "unpack", "verify"]

_HOMES = {
    "TidegateError": "tidegate.errors",
    "pull": "tidegate.releases.pull",
    "unpack": "tidegate.bundle.unpack",
    "verify": "tidegate.releases.verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
