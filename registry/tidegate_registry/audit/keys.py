"""The keys of the worker: one signs the log's checkpoints, the other the summaries of decisions.

A key is a file, or stays in an HSM, a Vault or a cloud's key service, which securesystemslib's signers reach. Which of
them can sign what: docs/guides/keys.md. Nothing here is imported until a key is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.errors import InvalidInput, TidegateError, Unreachable
from tidegate.tlog.note import Algorithm as NoteAlgorithm
from tidegate.tlog.note import VerifierKey, is_key_name
from tidegate_registry.key_files import load_private_key, load_public_key, unusable_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from tidegate_registry.settings import Settings
    from tidegate_registry.settings_log import VsaSettings

FILE_SCHEME: Final = "file"
# what each kind of signer of securesystemslib 1.6 needs besides, for hints
EXTRAS: Final = {"hsm": "hsm", "hv": "vault", "awskms": "awskms", "gcpkms": "gcpkms", "azurekms": "azurekms"}
PROBE: Final = (
    b"tidegate-registry: does this key sign?\n"  # no signed note, no DSSE encoding: it can be taken for neither
)


class KeyMissing(InvalidInput):
    """The worker has no key for what it must sign."""

    code = "signing-key-missing"


class Algorithm(StrEnum):
    """What a key signs with. The log's notes need the first; stock tools verify the second everywhere."""

    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256-sha256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign. Each signature is verified before it is given away: a service may hold another key."""

    what: str
    algorithm: Algorithm
    public: Ed25519PublicKey | EllipticCurvePublicKey
    _sign: Callable[[bytes], bytes]

    def sign(self, message: bytes) -> bytes:
        """Sign `message`: 64 bytes of Ed25519, or ECDSA over SHA-256 in DER.

        Raises Unreachable when the service does not sign, InvalidInput (code "signing-key-other") when what it gives
        does not verify under the public key that is configured.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = self._sign(message)
        try:
            if isinstance(self.public, EllipticCurvePublicKey):
                self.public.verify(signature, message, ECDSA(SHA256()))
            else:
                self.public.verify(signature, message)
        except InvalidSignature as error:
            raise InvalidInput(
                f"the {self.what} is not the one whose public key is configured",
                code="signing-key-other",
                hint="configure the public key that belongs to it",
            ) from error
        return signature

    @property
    def public_pem(self) -> str:
        """The public key as SubjectPublicKeyInfo in PEM, as trust files and other tools take it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class LogSigner:
    """Signs the log's checkpoints: a `NoteSigner` of tidegate.tlog.note. `key`: as trust files have it."""

    key: VerifierKey
    signing: SigningKey

    def sign(self, text: bytes) -> bytes:
        """Give 64 bytes. Raises what `SigningKey.sign` does."""
        return self.signing.sign(text)


def open_log_signer(settings: Settings) -> LogSigner:
    """Open the key that signs checkpoints. Raises KeyMissing, InvalidInput, Unreachable.

    C2SP signed notes know Ed25519 (type 0x01); ECDSA (0x02) is deprecated there and not offered. Of securesystemslib's
    signers only Vault's signs it.
    """
    log = settings.log
    if log.key is None:
        raise KeyMissing(
            "no key signs the log's checkpoints",
            code="log-key-missing",
            expected="the setting log.key",
            hint="make one: tidegate-registry keys make-log-key --out FILE, then set log.key to file:FILE",
        )
    return log_signer(settings.log_origin, open_key(log.key, what="log key", public_key_file=log.public_key_file))


def log_signer(origin: str, key: SigningKey) -> LogSigner:
    """Make a signer of checkpoints. Raises InvalidInput (codes "log-key-algorithm", "log-origin-invalid")."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(key.public, Ed25519PublicKey):
        raise InvalidInput(
            "checkpoints are C2SP signed notes, which that key cannot sign",
            code="log-key-algorithm",
            found=key.algorithm,
            expected="an Ed25519 key: file:PATH, or hv:NAME/VERSION (Vault)",
        )
    if not is_key_name(origin):
        raise InvalidInput(
            "that cannot be a log's name",
            code="log-origin-invalid",
            found=origin[:200],
            expected="1 to 255 bytes without spaces and plus signs",
        )
    return LogSigner(VerifierKey(origin, NoteAlgorithm.ED25519, key.public.public_bytes_raw()), key)


def open_vsa_key(settings: VsaSettings) -> SigningKey:
    """Open the key that signs summaries of decisions. Raises KeyMissing, InvalidInput, Unreachable."""
    if settings.key is None:
        raise KeyMissing(
            "no key signs the summaries of decisions",
            code="vsa-key-missing",
            expected="the setting vsa.key",
            hint="make one: tidegate-registry keys make-vsa-key --out FILE, then set vsa.key to file:FILE",
        )
    return open_key(settings.key, what="VSA key", public_key_file=settings.public_key_file, pin_file=settings.pin_file)


def open_key(uri: str, *, what: str, public_key_file: Path | None = None, pin_file: Path | None = None) -> SigningKey:
    """Open the key `uri` and see it sign: `file:PATH`, or a URI of a securesystemslib signer.

    `public_key_file`: PEM; what a key that is no file must sign as. `pin_file`: what an HSM asks for.
    Raises InvalidInput, Unreachable.
    """
    scheme, _, rest = uri.partition(":")
    key = (
        _from_file(Path(rest), what)
        if scheme == FILE_SCHEME
        else _from_service(uri, what, public_key_file=public_key_file, pin_file=pin_file)
    )
    key.sign(PROBE)
    return key


def _from_file(path: Path, what: str) -> SigningKey:
    private = load_private_key(path, what)
    algorithm, public = _known(private.public_key(), path, what)
    return SigningKey(what, algorithm, public, _signing_with(private))


def _signing_with(private: PrivateKeyTypes) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(private, EllipticCurvePrivateKey):
        return lambda message: private.sign(message, ECDSA(SHA256()))
    if isinstance(private, Ed25519PrivateKey):
        return private.sign
    raise TypeError(type(private).__name__)


def _from_service(uri: str, what: str, *, public_key_file: Path | None, pin_file: Path | None) -> SigningKey:
    scheme = uri.partition(":")[0]
    if scheme not in EXTRAS:
        raise InvalidInput(
            f"there is no such kind of {what}",
            code="signing-key-kind",
            found=f"{scheme}:",
            expected=", ".join(f"{kind}:" for kind in (FILE_SCHEME, *EXTRAS)),
        )
    if public_key_file is None:
        raise InvalidInput(
            f"a {what} that is no file needs its public key beside it",
            code="signing-key-public",
            found=f"{scheme}: without public_key_file",
            expected="a PEM file with the public key",
            hint="export it where the key is kept, and set public_key_file",
        )
    algorithm, public = _known(load_public_key(public_key_file, f"public {what}"), public_key_file, what)
    return SigningKey(what, algorithm, public, _signing_at(uri, what, public, pin_file))


def _signing_at(
    uri: str, what: str, public: Ed25519PublicKey | EllipticCurvePublicKey, pin_file: Path | None
) -> Callable[[bytes], bytes]:
    from securesystemslib.exceptions import UnsupportedLibraryError
    from securesystemslib.signer import Signer, SSlibKey

    scheme = uri.partition(":")[0]

    def pin(_name: str) -> str:
        if pin_file is None:
            raise InvalidInput(f"the {what} asks for a PIN", code="signing-key-pin", expected="the setting pin_file")
        return pin_file.read_text().strip()

    try:
        signer = Signer.from_priv_key_uri(uri, SSlibKey.from_crypto(public), pin)
    except UnsupportedLibraryError as error:
        raise InvalidInput(
            f"what the {what} needs is not installed",
            code="signing-key-library",
            found=error,
            hint=f"pip install 'securesystemslib[{EXTRAS[scheme]}]'",
        ) from error
    except Exception as error:  # signers raise what their services' libraries do
        raise _unusable_service(scheme, what, error) from error

    def sign(message: bytes) -> bytes:
        try:
            return bytes.fromhex(signer.sign(message).signature)
        except TidegateError:
            raise
        except Exception as error:
            raise Unreachable(
                f"the {what} did not sign", code="signing-key-unreachable", found=f"{scheme}: {type(error).__name__}"
            ) from error

    return sign


def _unusable_service(scheme: str, what: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"the {what} cannot be used",
        code="signing-key-unusable",
        found=f"{scheme}: {type(error).__name__}: {str(error)[:200]}",
        expected="an Ed25519 key in Vault, or an ECDSA P-256 key elsewhere",
    )


def _known(
    public: PublicKeyTypes, path: Path, what: str
) -> tuple[Algorithm, Ed25519PublicKey | EllipticCurvePublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if isinstance(public, Ed25519PublicKey):
        return Algorithm.ED25519, public
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return Algorithm.ECDSA_P256, public
    raise unusable_key(path, what, type(public).__name__)
