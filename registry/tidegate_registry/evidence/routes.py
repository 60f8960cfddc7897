"""Evidence about a release or a manifest, to be read. HTTP only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from tidegate.digest import Digest
from tidegate.formats.jcs import parse_object
from tidegate.formats.reference import parse_version
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.requires import Requires
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.lists import find_release
from tidegate_registry.api import AgentName, JsonDocument, Namespace, Out, Paging, VersionText, answer, written_as
from tidegate_registry.evidence.lists import list_evidence
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.services import App

router = APIRouter(prefix="/api/v1", tags=["evidence"])

DigestText = Annotated[
    str, Path(examples=[Digest.of(b"")], json_schema_extra=written_as("(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"))
]
EvidenceReader = Annotated[Principal, Depends(Requires(Permission.EVIDENCE_READ))]
MAX_ATTESTATION_BYTES = 64 << 10  # what verification writes about one bundle, without its predicate


class EvidenceOut(Out):
    """A signature that was verified when it arrived. It says what was true then; a host verifies again for itself."""

    subject: str
    predicate_type: str
    role: str = Field(description="`publisher` or `attester`, by the charter of that day")
    root: str = Field(description="Name of the trusted root that vouches for the signer")
    issuer: str
    identity: str
    signed_at: datetime
    payload: str = Field(description="Digest of the signed statement")
    manifest: str = Field(description="Digest of the referrer that attaches it")
    bundle: str = Field(description="Digest of the blob that is the Sigstore bundle")
    event_id: str
    attestation: JsonDocument = Field(description="All that verification found out, with the numbers of its steps")

    @classmethod
    def of(cls, row: EvidenceRow) -> EvidenceOut:
        """Show a row."""
        attestation = parse_object(row.attestation, limit=MAX_ATTESTATION_BYTES, what="a stored attestation")
        return cls(**row.model_dump(exclude={"repository", "signature", "attestation"}), attestation=attestation)


class EvidencePageOut(Out):
    """A page of evidence in the order of arrival."""

    items: list[EvidenceOut]
    next: str | None


@router.get(
    "/agents/{namespace}/{agent}/releases/{version}/evidence",
    operation_id="listReleaseEvidence",
    summary="List the evidence about a release",
    response_model=EvidencePageOut,
)
def get_release_evidence(
    *,
    namespace: Namespace,
    agent: AgentName,
    version: VersionText,
    request: Request,
    app: App,
    who: EvidenceReader,
    page: Paging,
) -> Response:
    """All that was verified about it, also after its admission."""
    release = find_release(app, who, f"{namespace}/{agent}", parse_version(version))
    return _answer(
        request, *list_evidence(app, who, f"{namespace}/{agent}", release.digest, after=page.after, size=page.size)
    )


@router.get(
    "/agents/{namespace}/{agent}/evidence/{digest}",
    operation_id="listEvidence",
    summary="List the evidence about a manifest",
    response_model=EvidencePageOut,
)
def get_evidence(
    *,
    namespace: Namespace,
    agent: AgentName,
    digest: DigestText,
    request: Request,
    app: App,
    who: EvidenceReader,
    page: Paging,
) -> Response:
    """By digest, so that it can be looked at before the manifest has a version."""
    return _answer(
        request,
        *list_evidence(app, who, f"{namespace}/{agent}", Digest.parse(digest), after=page.after, size=page.size),
    )


def _answer(request: Request, rows: Sequence[EvidenceRow], following: str | None) -> Response:
    items = [EvidenceOut.of(row) for row in rows]
    return answer(request, EvidencePageOut(items=items, next=following))
