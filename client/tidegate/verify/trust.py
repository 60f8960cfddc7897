"""Trust: the trusted roots by name and the charters, loaded from files that the reader owns, and passed in.

A root is never looked up in a cache or fetched, and two roots never meet in one verifier: a private authority beside
the public one could otherwise vouch for anybody. Spec page: docs/spec/trust-file.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import JsonInvalid, LogKeyInvalid, TrustFileInvalid
from tidegate.formats.charter import Charter, CharterSet
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.formats.trustfile import (
    MAX_CHARTER_BYTES,
    MAX_KEY_BYTES,
    MAX_TRUST_FILE_BYTES,
    LogKeys,
    parse_charter,
    parse_trust_file,
)
from tidegate.tlog.note import Algorithm, VerifierKey
from tidegate.tlog.policy import LogPolicy
from tidegate.verify.vsakey import VsaKey

if TYPE_CHECKING:
    from sigstore.verify import Verifier
    from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

MAX_TRUSTED_ROOT_BYTES = 1 << 20  # the public-good one is 11 KB
CLIENT_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SANDBOX_MARK = "sandbox"


class Root:
    """One Sigstore trusted root under the name that charters use for it.

    `raw`: the file's bytes; `digest`: their sha256, which decisions record. Verifiers are made when first needed
    (sigstore takes half a second to import) and kept; the object is safe to share between threads.
    """

    def __init__(self, name: str, raw: bytes, *, sandbox: bool = False) -> None:
        """Take the bytes of a trusted root or client trust config. Raises TrustFileInvalid when they are neither."""
        try:
            document = parse_object(raw, limit=MAX_TRUSTED_ROOT_BYTES, what=f"the trusted root `{name}`")
        except JsonInvalid as error:
            raise TrustFileInvalid(str(error), found=error.reasons[0].found) from error
        if document.get("mediaType") == CLIENT_TRUST_CONFIG:
            inner = document.get("trustedRoot")
            if not isinstance(inner, dict):
                raise TrustFileInvalid(f"the client trust config `{name}` holds no trusted root")
            document = inner
        for key in ("tlogs", "certificateAuthorities", "ctlogs"):
            if not isinstance(document.get(key), list) or not document[key]:
                raise TrustFileInvalid(f"the trusted root `{name}` has no {key}", expected="a Sigstore trusted root")
        self.name = name
        self.raw = raw
        self.digest = Digest.of(raw)
        self.sandbox = sandbox or _says_sandbox(document)
        self._document = document
        self._model: TrustedRootModel | None = None
        self._verifiers: dict[tuple[tuple[int, ...], ...], Verifier] = {}

    def verifier_at(self, issued: datetime, expires: datetime) -> Verifier | None:
        """Give a verifier for a certificate of these times, or None when nothing in this root was valid then.

        It holds those authorities and CT logs whose `validFor` contains `issued`, and those logs whose `validFor` has
        a moment in common with the certificate's, as the entry is made within it. sigstore-python looks at no
        `validFor` but the timestamp authorities', so the others are left out here. Raises TrustFileInvalid when the
        document is not a trusted root that sigstore can read.
        """
        model = self._model = self._model or self._parse()
        authorities = _valid((each.valid_for for each in model.certificate_authorities), issued, issued)
        ctlogs = _valid((each.public_key.valid_for for each in model.ctlogs), issued, issued)
        tlogs = _valid((each.public_key.valid_for for each in model.tlogs), issued, expires)
        if not (authorities and ctlogs and tlogs):
            return None
        # every moment between the same two boundaries gives the same choice, so this stays small
        choice = (authorities, ctlogs, tlogs)
        if choice not in self._verifiers:
            self._verifiers[choice] = _make_verifier(model, authorities, ctlogs, tlogs)
        return self._verifiers[choice]

    def _parse(self) -> TrustedRootModel:
        from pydantic import ValidationError
        from sigstore_models.trustroot.v1 import TrustedRoot as Model

        try:
            return Model.from_json(json.dumps(self._document))
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise TrustFileInvalid(f"the trusted root `{self.name}` is malformed at {where}") from error


@dataclass(frozen=True, slots=True)
class LogTrust:
    """How an audit log is known. `need`: how many of `witnesses` must have cosigned a checkpoint."""

    key: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    need: int = 0

    @classmethod
    def of(cls, keys: LogKeys, *, name: str) -> LogTrust:
        """Read the keys of a trust file's `log` section. `name`: the file. Raises TrustFileInvalid."""
        own = _key(keys.key, Algorithm.ED25519, f"{name}: log.key")
        if keys.witnesses is None:
            return cls(own)
        witnesses = tuple(
            _key(text, None, f"{name}: log.witnesses.of[{index}]") for index, text in enumerate(keys.witnesses.of)
        )
        return cls(own, witnesses, keys.witnesses.need)

    @property
    def origin(self) -> str:
        """The name of the log, which is its key's."""
        return self.key.name

    @property
    def policy(self) -> LogPolicy:
        """What a checkpoint must be signed by. Raises LogPolicyInvalid."""
        return LogPolicy.need_of(self.key, self.need, self.witnesses)


class Trust:
    """Roots by name, the charters whose rules name them, and the keys of registries: of their logs and summaries.

    Made by `load_trust` or `from_parts`.
    """

    def __init__(
        self,
        roots: Mapping[str, Root],
        charters: CharterSet,
        *,
        log: LogTrust | None = None,
        vsa: Iterable[VsaKey] = (),
    ) -> None:
        self._roots = dict(roots)
        self.charters = charters
        self.log = log
        self.vsa = tuple(vsa)

    @classmethod
    def from_parts(
        cls,
        roots: Iterable[Root],
        charters: Iterable[Charter],
        *,
        allow_sandbox: bool = False,
        log: LogTrust | None = None,
        vsa: Iterable[VsaKey] = (),
    ) -> Trust:
        """Put trust together. Raises TrustFileInvalid.

        Refused: two roots of one name, a sandbox root without `allow_sandbox` (code "sandbox-root"), a rule that names
        a root there is not, two charters that cover the same.
        """
        by_name: dict[str, Root] = {}
        for root in roots:
            if root.name in by_name:
                raise TrustFileInvalid("two roots have one name", found=root.name)
            if root.sandbox and not allow_sandbox:
                raise TrustFileInvalid(
                    f"the root `{root.name}` is a sandbox's: anybody may sign as anybody under it",
                    code="sandbox-root",
                    hint="pass --sandbox (or TIDEGATE_SANDBOX=1) if this is a trial; else remove the root",
                )
            by_name[root.name] = root
        kept = list(charters)
        for charter in kept:
            unknown = [name for name in charter.roots if name not in by_name]
            if unknown:
                raise TrustFileInvalid(
                    f"the charter for {charter.agent} names a root there is not",
                    found=", ".join(unknown),
                    expected=f"one of {', '.join(sorted(by_name))}",
                )
        return cls(by_name, CharterSet(kept), log=log, vsa=vsa)

    def root(self, name: str) -> Root:
        """Give a root by name. Raises TrustFileInvalid."""
        if name not in self._roots:
            raise TrustFileInvalid("no such root", found=name, expected=f"one of {', '.join(sorted(self._roots))}")
        return self._roots[name]

    @property
    def roots(self) -> tuple[Root, ...]:
        """All roots, by name."""
        return tuple(self._roots[name] for name in sorted(self._roots))


def load_trust(path: Path, *, allow_sandbox: bool, on_read: Callable[[Path], None] = lambda _: None) -> Trust:
    """Read a trust.yaml and the files it names, which are relative to it.

    `on_read` is told of each file before it is opened, so that a reader can watch them all.
    Raises TrustFileInvalid: with file, line and path of each mistake, or because a file cannot be read.
    """

    def read(file: Path, limit: int) -> bytes:
        on_read(file)
        return _read(file, limit)

    trust_file, _ = parse_trust_file(read(path, MAX_TRUST_FILE_BYTES), name=path.name)
    roots = [
        Root(name, read(path.parent / entry.file, MAX_TRUSTED_ROOT_BYTES), sandbox=entry.sandbox)
        for name, entry in trust_file.roots.items()
    ]
    charters = []
    for entry in trust_file.charters:
        if isinstance(entry, Charter):
            charters.append(entry)
        else:
            raw = read(path.parent / entry.file, MAX_CHARTER_BYTES)
            charters.append(parse_charter(raw, name=entry.file, roots=trust_file.roots))
    log = None if trust_file.log is None else LogTrust.of(trust_file.log, name=path.name)
    vsa = [VsaKey.read(entry, read(path.parent / entry.key.file, MAX_KEY_BYTES)) for entry in trust_file.vsa]
    return Trust.from_parts(roots, charters, allow_sandbox=allow_sandbox, log=log, vsa=vsa)


def load_log_trust(path: Path) -> LogTrust:
    """Read how the audit log is known from a trust.yaml, and no file it names. Raises TrustFileInvalid.

    Code "log-key-missing": the file does not say.
    """
    trust_file, _ = parse_trust_file(_read(path, MAX_TRUST_FILE_BYTES), name=path.name)
    if trust_file.log is None:
        raise TrustFileInvalid(
            f"{path} does not say by which key the audit log is known",
            code="log-key-missing",
            expected="log: {key: NAME+ID+KEY}",
            hint="ask whoever runs the registry for the log's verifier key, by a way you trust; or pass --key VKEY",
        )
    return LogTrust.of(trust_file.log, name=path.name)


def _key(text: str, algorithm: Algorithm | None, where: str) -> VerifierKey:
    """Read a key of `algorithm`, or with None one that cosigns."""
    try:
        key = VerifierKey.parse(text)
    except LogKeyInvalid as error:
        first = error.reasons[0]
        raise TrustFileInvalid(
            f"{where}: {error.message}", code=first.code, found=first.found, expected=first.expected, hint=first.hint
        ) from error
    if key.algorithm is not algorithm and (algorithm is not None or not key.algorithm.is_cosignature):
        raise TrustFileInvalid(
            f"{where}: that key is of another kind",
            found=key.algorithm.name,
            expected=algorithm.name if algorithm is not None else "the key of a witness, which cosigns",
        )
    return key


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with U+0000
        found = error.strerror if isinstance(error, OSError) else "not a file's name"
        raise TrustFileInvalid(f"{path}: cannot be read", found=found, code="trust-file-unreadable") from error
    if len(raw) > limit:
        raise TrustFileInvalid(f"{path}: too large", expected=f"at most {limit} bytes")
    return raw


def _valid(ranges: Iterable[object], first: datetime, last: datetime) -> tuple[int, ...]:
    """Give the places of those time ranges (closed on both sides; none given means always) that meet `first`-`last`."""
    return tuple(index for index, span in enumerate(ranges) if span is None or _meets(span, first, last))


def _meets(span: object, first: datetime, last: datetime) -> bool:
    start, end = getattr(span, "start", None), getattr(span, "end", None)
    return isinstance(start, datetime) and start <= last and (end is None or first <= end)


def _make_verifier(
    model: TrustedRootModel, authorities: tuple[int, ...], ctlogs: tuple[int, ...], tlogs: tuple[int, ...]
) -> Verifier:
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

    chosen = model.model_copy(
        update={
            "certificate_authorities": [model.certificate_authorities[index] for index in authorities],
            "ctlogs": [model.ctlogs[index] for index in ctlogs],
            "tlogs": [model.tlogs[index] for index in tlogs],
        }
    )
    return Verifier(trusted_root=TrustedRoot(chosen))


def _says_sandbox(document: JsonObject) -> bool:
    """Whether an authority calls itself a sandbox: in the document, or in its own certificates' organisation."""
    authorities = document.get("certificateAuthorities")
    return isinstance(authorities, list) and any(_is_sandbox(authority) for authority in authorities)


def _is_sandbox(authority: JsonValue) -> bool:
    from cryptography import x509

    if not isinstance(authority, dict):
        return False
    subject, chain = authority.get("subject"), authority.get("certChain")
    organisations = [str(subject.get("organization"))] if isinstance(subject, dict) else []
    certificates = chain.get("certificates") if isinstance(chain, dict) else None
    for certificate in certificates if isinstance(certificates, list) else ():
        raw = certificate.get("rawBytes") if isinstance(certificate, dict) else None
        try:
            name = x509.load_der_x509_certificate(base64.b64decode(str(raw))).subject
        except ValueError as error:
            raise TrustFileInvalid("a trusted root holds something that is no certificate") from error
        organisations += [str(part.value) for part in name.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
    return any(SANDBOX_MARK in organisation.lower() for organisation in organisations)
