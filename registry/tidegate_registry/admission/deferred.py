"""Version tags that wait: decided again when evidence comes, under charter, policy and rights of that moment.

The tag's publisher must be one then, too; who brought the evidence may be somebody else, and has no part in the right
to name. Source: docs/concepts/how-a-release-gets-in.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, BundleRefused, Reason, Refusal, TidegateError
from tidegate.formats.config import AgentConfig
from tidegate.formats.manifest import Manifest
from tidegate.verify.artifact import Refused
from tidegate.verify.trust import Trust
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.service import Request, admit, judge, read_grounds
from tidegate_registry.artifacts import catalogue, pending
from tidegate_registry.artifacts.content import check_content, read_config
from tidegate_registry.artifacts.errors import VersionTaken
from tidegate_registry.artifacts.members import check_complete
from tidegate_registry.artifacts.naming import Completion
from tidegate_registry.artifacts.pending import PendingTag
from tidegate_registry.audit.events import Actor
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()


@dataclass(frozen=True, slots=True)
class PendingRelease:
    """A version tag that waits, and what it waits for, as it would be decided now."""

    tag: PendingTag
    reasons: Sequence[Reason]


def complete_pending(
    app: Services, trust: Callable[[], Trust], who: Principal, *, repository: str, subject: Digest
) -> None:
    """Decide about every tag that waits for evidence about `subject`. One that is refused goes on waiting."""
    with app.db.read() as tx:
        tags = pending.waiting_for(tx, repository, subject, now=app.clock())
        raw = catalogue.manifest_bytes(tx, repository, subject) if tags else None
    if raw is None:
        return
    manifest = Manifest.parse(raw, algorithm=subject.algorithm)
    for tag in tags:
        try:
            _complete(app, trust, tag, manifest, Actor.of(who))
        except VersionTaken:
            pending.end_pending(app, tag, actor=Actor.of(who), reason="version-taken")
        except TidegateError as error:  # what brought us here is stored, and is no failure of whoever brought it
            reason = error.reasons[0].code
            log.info("release.still-pending", repository=repository, reference=tag.version, code=reason)


def _complete(
    app: Services, trust: Callable[[], Trust], tag: PendingTag, manifest: Manifest, completed_by: Actor
) -> None:
    who, repository = tag.publisher, tag.repository
    unmet = unmet_requirements(app, trust(), tag, manifest)
    if unmet:  # before the content is read again, which may be long
        raise AdmissionRefused.because(f"{repository}:{tag.version} is not admitted yet", unmet)
    check_complete(app, who, repository, manifest)
    bundle = check_content(app, repository, manifest)
    completes = Completion(tag, completed_by)
    admit(app, trust, Request(who, repository, tag.version, manifest, bundle, strict=True, completes=completes))


def find_pending_release(app: Services, who: Principal, name: str, version: str) -> PendingRelease | None:
    """Give the tag that waits under that version, for those who may see what is in quarantine; None if none does."""
    if app.trust is None or not app.access.may(who, Permission.QUARANTINE_READ, name):
        return None
    with app.db.read() as tx:
        tag = pending.find_pending(tx, name, version, who=who, now=app.clock())
        raw = None if tag is None else catalogue.manifest_bytes(tx, name, tag.digest)
    if tag is None or raw is None:
        return None
    manifest = Manifest.parse(raw, algorithm=tag.digest.algorithm)
    return PendingRelease(tag, unmet_requirements(app, app.trust.current(), tag, manifest))


def unmet_requirements(app: Services, trust: Trust, tag: PendingTag, manifest: Manifest) -> Sequence[Reason]:
    """Say what a decision now would refuse it for; what layers hold is not read for this."""
    try:
        app.access.demand(tag.publisher, Permission.RELEASE_PUBLISH, tag.repository)
        config = _config_of(app, tag.repository, manifest)
        request = Request(tag.publisher, tag.repository, tag.version, manifest, config)
        with app.db.read() as tx:
            grounds = read_grounds(app, tx, trust, request)
        verdict = judge(app, trust, request, grounds).verdict
    except Refusal as refused:
        return refused.reasons
    return verdict.reasons if isinstance(verdict, Refused) else ()


def _config_of(app: Services, repository: str, manifest: Manifest) -> AgentConfig | BundleRefused | None:
    try:
        return read_config(app, repository, manifest)
    except BundleRefused as refused:
        return refused
