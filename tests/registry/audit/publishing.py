"""Put what a registry under test has written into its log, as its worker would, with a key that tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.tlog.note import Ed25519Signer
from tidegate_registry.audit.integrate import Integrator
from tidegate_registry.audit.leader import acquire, release
from tidegate_registry.audit.sequence import LOG
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate_registry.services import Services

SEED = bytes(32)


def log_signer(app: Services) -> Ed25519Signer:
    return Ed25519Signer(app.settings.log_origin, Ed25519PrivateKey.from_private_bytes(SEED))


def publish_log(app: Services) -> None:
    """Lead, and publish until there is nothing more."""
    lease = acquire(app.db, LOG, "test")
    assert lease is not None
    integrator = Integrator(app, log_signer(app))
    try:
        while integrator.turn(lease) is not Did.NOTHING:
            pass
    finally:
        release(app.db, lease)
