"""Every error Tidegate raises on purpose, and the one shape in which it gives its reasons.

    TidegateError                something went wrong that we understand
    ├── InvalidInput             what the caller wrote is not acceptable; nothing was changed   (exit 2, HTTP 400)
    │   ├── AgentFileInvalid     agent.yaml: file, line, path and what would be right
    │   ├── TrustFileInvalid     trust.yaml or a charter: the same
    │   ├── PolicyInvalid        a policy, an overlay or their cases: the same
    │   ├── WatchFileInvalid     watch.yaml: what is told of a log, and whom
    │   ├── ReferenceInvalid     not `[registry/]namespace/agent[:version][@sha256:…]`
    │   ├── DigestInvalid        not `sha256:<64 lower-case hex>`
    │   ├── JsonInvalid          not the JSON we accept: duplicate keys, depth, size, encoding
    │   ├── ManifestInvalid      not an OCI manifest we accept
    │   ├── SigstoreBundleInvalid   not a Sigstore bundle of the one form we accept
    │   ├── StatementInvalid     not an in-toto statement or predicate we accept
    │   ├── EntryInvalid         not an entry of the audit log
    │   ├── IdentityInvalid      a certificate or token that names nobody in the one way we accept
    │   ├── WhenInvalid          a policy's condition that does not parse, does not fit its types, or is too much: where
    │   ├── LogKeyInvalid        not the key (vkey) of a log or a witness
    │   ├── LogPolicyInvalid     not a text that says which logs and witnesses are enough
    │   └── SourceTreeInvalid    files that cannot become a bundle: links out of the tree, devices, confusable names …
    ├── Refusal                  a check said no; carries every reason                          (exit 1, HTTP 403)
    │   ├── EvidenceRefused      a Sigstore bundle failed a numbered step of docs/spec/verification.md
    │   ├── BundleRefused        a bundle, its files or what proves it are not what was asked for
    │   ├── AdmissionRefused     a version was not given to a manifest; lists each unmet requirement
    │   ├── PromotionRefused     a channel does not move; lists every finding that nothing can mend
    │   ├── LogRefused           the audit log, or what is shown as a part of it, is not what it must be
    │   │   ├── NoteInvalid      not a signed note, or not signed by whom it must be
    │   │   ├── CheckpointInvalid    not the checkpoint of that log, or too few witnesses stand behind it
    │   │   ├── TileInvalid      a file of the log is missing, malformed, or not of that tree
    │   │   └── ProofInvalid     a proof of inclusion or consistency does not hold
    │   ├── AccessDenied         the caller may not do this
    │   └── SigningRefused       we will not sign this, or what we signed does not verify
    ├── Unauthenticated          no credential, or one that is not valid                        (exit 1, HTTP 401)
    ├── NotFound                 there is no such thing, or none the caller may see             (exit 1, HTTP 404)
    ├── Conflict                 another state of the world forbids it                          (exit 1, HTTP 409)
    ├── LimitExceeded            larger, longer or more than a stated limit                     (exit 1, HTTP 413/429)
    └── Unreachable              a service did not answer                                       (exit 3, HTTP 503)

An error knows nothing of HTTP or exit codes: `tidegate.cli.outcome` and `tidegate_registry.problems` render it, once
each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was looked at and found wanting, in words a person can act on.

    `code`: stable, kebab-case. `step`: number in the spec page that defines the check, such as "A8". `found` and
    `expected` are values, not sentences; `hint` is an imperative sentence.
    """

    code: str
    message: str
    found: str | None = None
    expected: str | None = None
    hint: str | None = None
    step: str | None = None

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, str]:
        """Give the members that are set; the shape used in problem documents, OCI error details and `--json`."""
        pairs = (
            ("code", self.code),
            ("message", self.message),
            ("found", self.found),
            ("expected", self.expected),
            ("hint", self.hint),
            ("step", self.step),
        )
        return {key: value for key, value in pairs if value is not None}

    def lines(self) -> list[str]:
        """Give the reason as indented text, one fact a line: the same in a terminal and in an OCI error message."""
        head = f"{self.code}: {self.message}" if self.step is None else f"{self.code} [{self.step}]: {self.message}"
        facts = (("found", self.found), ("expected", self.expected), ("hint", self.hint))
        return [
            head,
            *(line for name, value in facts if value is not None for line in _lined_up(f"    {name}: ", value)),
        ]


def _lined_up(lead: str, value: str) -> list[str]:
    """Put the lines of a value below each other: a caret then stands where it points."""
    first, *others = value.split("\n")
    return [f"{lead}{first}", *(f"{' ' * len(lead)}{other}" for other in others)]


class TidegateError(Exception):
    """Base of all. `str()` is one sentence for a person; `reasons` has the detail."""

    code: ClassVar[str] = "internal-error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,  # a step's own code, from the table in its spec page
        found: object | None = None,
        expected: object | None = None,
        hint: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reasons: tuple[Reason, ...] = (
            Reason(
                code=code or self.code,
                message=message,
                found=None if found is None else str(found),
                expected=None if expected is None else str(expected),
                hint=hint,
                step=step,
            ),
        )

    @property
    def hint(self) -> str | None:
        """The first hint among the reasons."""
        return next((reason.hint for reason in self.reasons if reason.hint), None)


class InvalidInput(TidegateError):
    """What the caller wrote is not acceptable; nothing was changed."""

    code = "invalid-input"


class AgentFileInvalid(InvalidInput):
    """agent.yaml does not say what it must; the message starts with `file:line:` and the path inside."""

    code = "agent-file-invalid"


class TrustFileInvalid(InvalidInput):
    """trust.yaml, or a charter in or beside it, does not say what it must."""

    code = "trust-file-invalid"


class PolicyInvalid(InvalidInput):
    """A policy, an overlay or a file of cases does not say what it must; each reason starts with `file:line: path:`."""

    code = "policy-invalid"


class WatchFileInvalid(InvalidInput):
    """watch.yaml does not say what it must; each reason starts with `file:line: path:`."""

    code = "watch-file-invalid"


class ReferenceInvalid(InvalidInput):
    """Not `[registry/]namespace/agent[:version][@sha256:…]`."""

    code = "reference-invalid"


class DigestInvalid(InvalidInput):
    """Not `sha256:` and 64 lower-case hexadecimal digits."""

    code = "digest-invalid"


class JsonInvalid(InvalidInput):
    """Not JSON we accept: duplicate keys, too deep, too large, not UTF-8."""

    code = "json-invalid"


class ManifestInvalid(InvalidInput):
    """Not an OCI manifest we accept."""

    code = "manifest-invalid"


class SigstoreBundleInvalid(InvalidInput):
    """Not a Sigstore bundle of the one form we accept."""

    code = "bundle-malformed"


class StatementInvalid(InvalidInput):
    """Not an in-toto statement, or not a predicate, of a form we accept."""

    code = "statement-malformed"


class EntryInvalid(InvalidInput):
    """Not an entry of the audit log in its one form."""

    code = "entry-malformed"


class IdentityInvalid(InvalidInput):
    """A certificate or token that names nobody in the one way we accept."""

    code = "identity-malformed"


class WhenInvalid(InvalidInput):
    """A policy's condition does not parse, reads what is not there, mixes types, or is too much.

    `line` and `column`: where in the condition, from 1. `excerpt`: that line, and below it a caret.
    """

    code = "when-invalid"

    def __init__(
        self,
        message: str,
        *,
        line: int = 1,
        column: int = 1,
        excerpt: str = "",
        code: str | None = None,
        expected: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, found=excerpt or None, expected=expected, hint=hint)
        self.line = line
        self.column = column
        self.excerpt = excerpt


class LogKeyInvalid(InvalidInput):
    """Not the key of a log or a witness, in the form `<name>+<key id>+<base64>`."""

    code = "log-key-invalid"


class LogPolicyInvalid(InvalidInput):
    """Not a text that says which logs and witnesses are enough; the message starts with `line N:`."""

    code = "log-policy-invalid"


class SourceTreeInvalid(InvalidInput):
    """Files that cannot become a bundle."""

    code = "source-tree-invalid"


class Refusal(TidegateError):
    """A check said no. `reasons` holds every unmet requirement, in the order of their steps."""

    code = "refused"

    @classmethod
    def because(cls, message: str, reasons: Iterable[Reason]) -> Refusal:
        """Make a refusal of this class that carries `reasons` (at least one)."""
        refusal = cls(message)
        refusal.reasons = tuple(reasons)
        if not refusal.reasons:
            raise ValueError("a refusal needs a reason")
        return refusal


class EvidenceRefused(Refusal):
    """A Sigstore bundle failed a numbered step."""

    code = "evidence-refused"


class BundleRefused(EvidenceRefused):
    """A bundle, its files or what proves it are not what was asked for."""

    code = "bundle-refused"


class AdmissionRefused(Refusal):
    """A version was not given to a manifest."""

    code = "admission-refused"


class PromotionRefused(Refusal):
    """The policy says no, and nothing that could be supplied changes that; lists every reason."""

    code = "promotion-refused"


class LogRefused(Refusal):
    """The audit log, or what is shown as a part of it, is not what it must be."""

    code = "log-refused"


class NoteInvalid(LogRefused):
    """Not a signed note, or not signed by whom it must be."""

    code = "note-invalid"


class CheckpointInvalid(LogRefused):
    """Not the checkpoint of that log, or too few witnesses stand behind it."""

    code = "checkpoint-invalid"


class TileInvalid(LogRefused):
    """A file of the log is missing, malformed, or not of the tree that the checkpoint is about."""

    code = "tile-invalid"


class ProofInvalid(LogRefused):
    """A proof of inclusion or consistency does not hold."""

    code = "proof-invalid"


class AccessDenied(Refusal):
    """The caller may not do this."""

    code = "access-denied"


class SigningRefused(Refusal):
    """We will not sign this, or what we signed does not verify."""

    code = "signing-refused"


class Unauthenticated(TidegateError):
    """No credential, or one that is not valid."""

    code = "unauthenticated"


class NotFound(TidegateError):
    """There is no such thing, or none the caller may see."""

    code = "not-found"


class Conflict(TidegateError):
    """Another state of the world forbids it."""

    code = "conflict"


class LimitExceeded(TidegateError):
    """Larger, longer or more than a stated limit."""

    code = "limit-exceeded"


class Unreachable(TidegateError):
    """A service did not answer."""

    code = "unreachable"
