from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.client.policy.documents import OVERLAY, POLICY, loaded
from tidegate.policy.lint import warnings_of
from tidegate.policy.words import describe

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_a_policy_in_order_gives_no_warnings() -> None:
    assert warnings_of(loaded(POLICY, OVERLAY), NOW) == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ("  admin:", "  idle: []\n  admin:", "role-unused", "policy.yaml:9: roles.idle: nothing asks for this role"),
        ("{groups: developers}}]", "{groups: developers}}]\n  idle: []", "role-unbound", ""),
        ("publishers:", "publishers: []\nx:", "signer-unused", "signers.spare"),
        ("[dev, staging, stable]", "[dev, edge, staging, stable]", "channel-unreachable", "channels[1]"),
        ("count: 2, role: reviewer", "count: 2, role: admin", "too-few-persons", "admin can be no more than 1"),
        ('start: "2026-12-24', 'start: "2025-12-24', "freeze-over", "freezes[0]"),
        ('until: "2027', 'until: "2026', "exception-over", "exceptions[0]"),
        ("{id: bill,", '{warnUntil: "2026-11-20", id: bill,', "warning-over", "transitions[2].require[0].warnUntil"),
    ],
)
def test_what_is_probably_not_meant_is_told_with_its_line(old: str, new: str, code: str, told: str) -> None:
    text = POLICY.replace(old, new)
    if code == "role-unbound":
        text = text.replace("allow: [developer, release-manager]", "allow: [developer, idle]")
    if code == "signer-unused":
        spare = "  spare: {root: sigstore, issuer: https://i.example, identity: me}\n"
        text = POLICY.replace("publishers:", f"{spare}publishers:")
    if code == "freeze-over":
        text = text.replace('end: "2027', 'end: "2026')
    [warning] = warnings_of(loaded(text), NOW)
    assert warning.code == code
    assert warning.message.startswith("policy.yaml:")
    assert told in warning.message


def test_a_policy_can_be_read_aloud() -> None:
    text = POLICY.replace("  rollout", "").replace(
        "{id: evaluated, ",
        "{id: looked-at, review: {evaluation: evals, role: reviewer, allowFlips: 2}}\n"
        "  - {id: scanned, vulnerabilities: {signer: evals, atMost: medium, maxAge: 1d, ignore: [CVE-1]}}\n"
        "  - {id: built, provenance: {level: 3}}\n"
        "  - {id: tested, testResult: {signer: evals}, ifChanged: [model-moved, prompt-changed]}\n"
        "  - {id: elsewhere, upstream: {channels: [dev, staging], match: any, min: 1h}, warnUntil: '2027-01-01'}\n"
        "  - {id: evaluated, ",
    )
    lines = list(describe(loaded(text, OVERLAY)))
    assert lines == _ALOUD.splitlines()


_ALOUD = """\
→ dev: developer or release-manager may ask
dev → staging of acme/risky: release-manager may ask
    two-reviewers: 2 approvals by reviewer, not the author or who asks
dev → staging: developer or release-manager may ask
    bill: a bill of materials (cyclonedx or spdx)
staging → stable: release-manager may ask
    reviewed: 1 approval by reviewer, not the author or who asks, at most 3d old
    soaked: 1d without a break in the channel it comes from
    looked-at: a review by reviewer when more than 2 cases by evals comes out otherwise than before
    scanned: a scan by evals with no vulnerability above medium, but for 1 identifier, at most 1d old
    built: SLSA build level 3 or more
    tested: tests by evals that passed; only when model-moved or prompt-changed
    elsewhere: having been current in dev or staging for 1h; only warns until 2027-01-01
    evaluated: evaluation by evals, at most 7d old
staging → stable of acme/*, also
    audited: 1 approval by auditor, not the author or who asks
frozen: stable by holidays
frozen: stable by quarter-end
changed by admin
log read by admin
"""
