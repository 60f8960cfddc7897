"""`tidegate verify --vsa`: did a registry that the trust file names decide for this manifest?"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.bundle.layout import Layout
from tidegate.credentials.connect import address_for, open_registry
from tidegate.credentials.sources import Credentials
from tidegate.errors import InvalidInput
from tidegate.formats.jcs import JsonObject
from tidegate.formats.reference import Reference
from tidegate.releases.locate import demand_version_or_digest, find_layout, parse_release
from tidegate.releases.offline import no_network
from tidegate.releases.verify import choose_in, narrowed, own_name, refuse_offline, utc_now
from tidegate.remote.source import RegistrySource
from tidegate.verify.trust import Trust, load_trust
from tidegate.verify.vsa import SUMMARY_STEPS, VerifiedSummary, Wanted, find_summary

if TYPE_CHECKING:
    from tidegate.formats.manifest import Manifest
    from tidegate.verify.release import EvidenceSource


@dataclass(frozen=True, slots=True)
class SummedUp:
    """A manifest for which a registry decided. `summaries`: all that count, the latest first; at least one."""

    reference: Reference
    where: str
    summaries: tuple[VerifiedSummary, ...]

    def as_json(self) -> JsonObject:
        """Give what `--json` writes."""
        return {
            "reference": str(self.reference),
            "where": self.where,
            "summaries": [each.as_json() for each in self.summaries],
            "checked": [{"step": step.number, "title": step.title} for step in SUMMARY_STEPS],
        }


def verify_summaries(
    what: str | Path,
    *,
    trust: Trust | Path | str,
    levels: tuple[str, ...] = (),
    channel: str | None = None,
    expected: str | None = None,
    registry: str | None = None,
    offline: bool = False,
    allow_sandbox: bool = False,
    plain_http: bool = False,
    now: datetime | None = None,
) -> SummedUp:
    """Verify that a registry of the trust file's `vsa` decided for a manifest. Not that the decision was right.

    `what`, `expected`, `registry`, `offline`: as `releases.verify.verify`. `levels`, `channel`: what one summary must
    say, all of it. Raises BundleRefused with the step, InvalidInput, NotFound, Unreachable.
    """
    with no_network() if offline else nullcontext():
        believed = trust if isinstance(trust, Trust) else load_trust(Path(trust), allow_sandbox=allow_sandbox)
        if not believed.vsa:
            raise InvalidInput(
                "the trust file names no registry whose decisions count",
                code="vsa-keys-missing",
                expected="an entry under `vsa`",
                hint="get the registry's VSA key from its operator, by a way you trust",
            )
        moment, layout = now or utc_now(), find_layout(what)

        def check(source: EvidenceSource, manifest: Manifest, wanted: Reference, where: str) -> SummedUp:
            asked = Wanted(wanted.name, manifest.digest, wanted.version, levels, channel)
            found = find_summary(source, asked, keys=believed.vsa, now=moment)
            return SummedUp(Reference(wanted.name, version=wanted.version, digest=manifest.digest), where, found)

        if layout is not None:
            opened = Layout.open(layout)
            asked_for = parse_release(expected) if expected else None
            manifest = choose_in(opened, asked_for)
            return check(opened, manifest, asked_for or Reference(own_name(opened, manifest)), str(layout))
        reference = demand_version_or_digest(parse_release(str(what)))
        if offline:
            raise refuse_offline(reference)
        reference = narrowed(reference, expected)
        address = address_for(reference, registry, plain_http=plain_http)
        with open_registry(address, Credentials(os.environ, clock=utc_now)) as connected:
            source = RegistrySource(connected, reference.name, reference.digest)
            return check(source, source.root(reference.version), reference, address.host)
