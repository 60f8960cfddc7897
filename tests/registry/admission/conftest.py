from __future__ import annotations

from tests.registry.admission.fixtures import gate_world

__all__ = ["gate_world"]
