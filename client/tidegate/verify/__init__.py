"""The verifier: Sigstore bundles and manifests in, evidence and decisions out. Registry and hosts run the same one."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _CallablePackage(ModuleType):
    """Importing this package binds `tidegate.verify` to it, which is also the name of a public function: be both."""

    def __call__(self, *args: object, **named: object) -> object:
        return import_module("tidegate.releases.verify").verify(*args, **named)


sys.modules[__name__].__class__ = _CallablePackage
