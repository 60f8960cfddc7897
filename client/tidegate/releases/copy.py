"""`tidegate copy`, `export`, `import`: a verified release with all that refers to it, from one place to another.

Nothing is sent before the release is verified by the caller's own trust file. What is sent is named by digests that
were verified, and hashed on its way, so what arrives is what was verified. Source: docs/spec/copying.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.credentials.connect import open_registry
from tidegate.errors import InvalidInput, Reason, TidegateError
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import short_name
from tidegate.formats.reference import Reference
from tidegate.releases.destination import ArchiveDestination, Destination, LayoutDestination, RegistryDestination
from tidegate.releases.ends import Connecting, Place
from tidegate.releases.origin import Origin, agreed, from_layout, from_registry
from tidegate.releases.pull import ShowProgress
from tidegate.releases.shipment import FATAL, LeftOut, Referrer, Shipment, gather
from tidegate.releases.verify import utc_now
from tidegate.verify.release import VerifiedRelease, verify_release
from tidegate.verify.trust import Trust, load_trust

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource

Tell = Callable[[str, str], None]
"""Told of each finished step: a verb, and what it was done to."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A release that arrived. `new`: False when the destination had named it before.

    `sent`, `present`: referrers that this run brought, and that were there. `left_out`: what did not arrive, and why.
    """

    release: VerifiedRelease
    source: str
    destination: str
    reference: Reference
    new: bool
    event: str | None
    blobs_sent: int
    sent: tuple[Referrer, ...]
    present: tuple[Referrer, ...]
    left_out: tuple[LeftOut, ...]

    def as_json(self) -> JsonObject:
        """Give what `--json` writes. Source: docs/spec/command-line.md."""
        return {
            "reference": str(self.reference),
            "agent": self.release.agent,
            "version": self.release.version,
            "digest": self.release.digest,
            "from": self.source,
            "to": self.destination,
            "new": self.new,
            "event": self.event,
            "blobsSent": self.blobs_sent,
            "referrers": [
                {"type": each.kind, "digest": each.manifest.digest, "counted": each.counted, "sent": each in self.sent}
                for each in (*self.sent, *self.present)
            ],
            "leftOut": [
                {"type": each.kind, "digest": each.digest, "reasons": [{**reason.as_json()} for reason in each.reasons]}
                for each in self.left_out
            ],
        }


def copy(
    source: Place,
    destination: Place,
    *,
    trust: Trust | Path | str,
    expected: Reference | None = None,
    connecting: Connecting | None = None,
    allow_sandbox: bool = False,
    progress: ShowProgress | None = None,
    tell: Tell = lambda _verb, _what: None,
    now: datetime | None = None,
) -> Copied:
    """Copy a release with everything that refers to it, and verify it before anything is sent.

    `expected`: for a layout, the release it must be. Doing it again is
    safe: what is there is not sent again.
    Raises BundleRefused with every reason when the release does not verify; AdmissionRefused with every unmet
    requirement of the destination; Conflict; InvalidInput; NotFound; LimitExceeded; Unauthenticated; Unreachable.
    """
    believed = trust if isinstance(trust, Trust) else load_trust(Path(trust), allow_sandbox=allow_sandbox)
    how = connecting or Connecting()
    wanted = agreed(source.reference, agreed(expected, destination.reference))
    with ExitStack() as stack:
        origin = _open_origin(source, wanted, how, stack)
        _refuse_itself(origin, destination, how)
        opened = _open_destination(destination, origin.wanted.name, how, stack)
        return copy_release(origin, opened, trust=believed, now=now or utc_now(), progress=progress, tell=tell)


def copy_release(
    origin: Origin,
    destination: Destination,
    *,
    trust: Trust,
    now: datetime,
    progress: ShowProgress | None = None,
    tell: Tell = lambda _verb, _what: None,
) -> Copied:
    """Copy between two places that are open. See `copy`."""
    destination.check()
    release = verify_release(
        origin.source,
        origin.manifest,
        agent=origin.wanted.name,
        version=origin.wanted.version,
        digest=origin.wanted.digest,
        trust=trust,
        now=now,
    )
    tell("Verified", f"{release.agent}:{release.version} in {origin.where}")
    shipment = gather(origin.source, origin.list_referrers, release)
    return _Run(origin, shipment, destination, progress, tell).ship()


class _Run:
    """One verified release on its way."""

    def __init__(
        self,
        origin: Origin,
        shipment: Shipment,
        destination: Destination,
        progress: ShowProgress | None,
        tell: Tell,
    ) -> None:
        self._origin, self._shipment, self._destination = origin, shipment, destination
        self._source: BundleSource = origin.source
        self._progress, self._tell_now = progress, tell
        self._untold: list[tuple[str, str]] = []
        self._sent: list[Referrer] = []
        self._present: list[Referrer] = []
        self._left_out = list(shipment.left_out)
        self._blobs_sent = 0

    def ship(self) -> Copied:
        """Send content, then referrers, then the name."""
        release = self._shipment.release
        named = self._destination.is_named(release.version, release.digest)
        already = named and all(map(self._destination.has, self._shipment.content))
        if already:
            self._tell("Unchanged", f"{release.agent}:{release.version} in {self._destination.where}")
        else:
            self._send_content()
        for referrer in self._shipment.referrers:
            self._send_referrer(referrer, already=already)
        for each in self._left_out:
            self._tell("Left out", f"{short_name(each.kind)} {each.digest}: {_why(each.reasons)}")
        event = None if already else self._name(release)
        return Copied(
            release,
            self._origin.where,
            self._destination.where,
            Reference(release.agent, self._destination.registry, release.version, release.digest),
            not named,
            event,
            self._blobs_sent,
            tuple(self._sent),
            tuple(self._present),
            tuple(self._left_out),
        )

    def _name(self, release: VerifiedRelease) -> str | None:
        """Take the last step, when all that the release is verified by is there."""
        counted = [each.manifest for each in (*self._sent, *self._present) if each.counted]
        about = {each.digest for each in counted if each.subject and each.subject.digest == release.digest}
        self._destination.check_listed(release.digest, about)
        event = self._destination.name(release.manifest, release.version, self._source, self._progress)
        for verb, what in self._untold:
            self._tell_now(verb, what)
        self._tell_now("Named", f"{release.agent}:{release.version} in {self._destination.where}")
        return event

    def _tell(self, verb: str, what: str) -> None:
        if self._destination.writes_at_once:
            self._untold.append((verb, what))
        else:
            self._tell_now(verb, what)

    def _send_content(self) -> None:
        content = self._shipment.content
        blobs = list({blob.digest: blob for each in content for blob in each.blobs}.values())
        self._blobs_sent += self._destination.put_blobs(self._source, blobs, self._progress)
        for each in content:
            self._destination.put_content(each)
        self._tell("Copied", f"{self._shipment.release.digest} ({self._blobs_sent} of {len(blobs)} blobs were missing)")

    def _send_referrer(self, referrer: Referrer, *, already: bool) -> None:
        """Send one. What a registry refuses does not stop the rest: whether it is needed there is its to say.

        What the release was verified by is not left out for any other reason: nobody could verify what arrives.
        """
        manifest = referrer.manifest
        arrived = False
        try:
            if already and self._destination.has(manifest):
                self._present.append(referrer)
                return
            self._blobs_sent += self._destination.put_blobs(self._source, manifest.blobs, None)
            arrived = True
            self._destination.put_referrer(manifest)
        except FATAL:
            raise
        except TidegateError as error:
            if referrer.counted and not (arrived and self._destination.registry):
                raise
            self._left_out.append(LeftOut(manifest.digest, referrer.kind, error.reasons))
            return
        self._sent.append(referrer)
        note = "" if referrer.counted else " (proves nothing here)"
        self._tell("Attached", f"{short_name(referrer.kind)} {manifest.digest}{note}")


def _open_origin(source: Place, wanted: Reference | None, how: Connecting, stack: ExitStack) -> Origin:
    if source.reference is None or wanted is None:
        return from_layout(source.layout_path, wanted)
    address = how.address(source, wanted.name)
    return from_registry(stack.enter_context(open_registry(address, how.credentials(source=True))), wanted)


def _open_destination(destination: Place, agent: str, how: Connecting, stack: ExitStack) -> Destination:
    if destination.path is None:
        address = how.address(destination, agent)
        return RegistryDestination(stack.enter_context(open_registry(address, how.credentials(source=False))), agent)
    return ArchiveDestination(destination.path) if destination.archive else LayoutDestination(destination.path)


def _refuse_itself(origin: Origin, destination: Place, how: Connecting) -> None:
    if destination.path is None:
        same = origin.where == how.address(destination, origin.wanted.name).host
    else:
        same = Path(origin.where).resolve() == destination.path.resolve()
    if same:
        raise InvalidInput(
            "that would copy a release to where it is",
            code="copy-to-itself",
            found=origin.where,
            expected="another registry, folder or file as the destination",
        )


def _why(reasons: tuple[Reason, ...]) -> str:
    return "; ".join(f"{reason.message} ({reason.code})" for reason in reasons)
