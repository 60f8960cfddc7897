"""Key, certificate and secret files of one sandbox folder: mode 0600, made once, marked as sandbox keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tidegate_registry.sandbox.files import MARK, create_file, ensure_secret, make_folder

CERTIFICATE_MARK = b"# SANDBOX CERTIFICATE: never trust it outside this machine.\n"
RSA_BITS = 2048  # NIST SP 800-57: enough for a token that lives five minutes
SECRET_BYTES = 32


class KeyStore:
    """The files of `folder`: each is made when it is first asked for and loaded from then on.

    One process at a time owns the folder (the sandbox holds a lock on it); threads may share a store only after the
    services are built, when nothing is made any more.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder)

    def ec_key(self, name: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        key = self._key(name, lambda: ec.generate_private_key(curve))
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != curve.name:
            raise TypeError(f"{self.folder / name}.key is not a {curve.name} key")
        return key

    def ed25519_key(self, name: str) -> ed25519.Ed25519PrivateKey:
        key = self._key(name, ed25519.Ed25519PrivateKey.generate)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise TypeError(f"{self.folder / name}.key is not an Ed25519 key")
        return key

    def rsa_key(self, name: str) -> rsa.RSAPrivateKey:
        key = self._key(name, lambda: rsa.generate_private_key(65537, RSA_BITS))
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{self.folder / name}.key is not an RSA key")
        return key

    def certificate(self, name: str, make: Callable[[], x509.Certificate]) -> x509.Certificate:
        path = self.folder / f"{name}.crt"
        if not path.exists():
            create_file(path, CERTIFICATE_MARK + make().public_bytes(serialization.Encoding.PEM))
        return x509.load_pem_x509_certificate(path.read_bytes())

    def secret(self, name: str, entropy: Callable[[int], bytes]) -> str:
        """Give a secret of 256 bits as 64 hexadecimal digits."""
        return ensure_secret(self.folder / f"{name}.secret", entropy, SECRET_BYTES)

    def _key(self, name: str, generate: Callable[[], PrivateKeyTypes]) -> PrivateKeyTypes:
        path = self.folder / f"{name}.key"
        if not path.exists():
            pem = generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            create_file(path, MARK + pem)
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
