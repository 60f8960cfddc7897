"""How the release and the channel stand to each other: frozen, withdrawn, backwards, superseded, held, fallen."""

from __future__ import annotations

from typing import Final

from tidegate.formats.moment import moment_text
from tidegate.formats.reference import version_key
from tidegate.policy.calendar import frozen
from tidegate.policy.floor import judge_builder, judge_ref, judge_runner, judge_signer
from tidegate.policy.judge.approvals import within_window
from tidegate.policy.judge.matter import RULE, About, Matter, either
from tidegate.policy.people import holders
from tidegate.policy.verdict import Finding, State

FREEZE: Final = About("freeze", RULE)
REVOKED: Final = About("revoked", RULE)
FORWARD: Final = About("forward", RULE)
BACK: Final = About("back", RULE)
NEWEST: Final = About("newest", RULE)
DEBT: Final = About("debt", RULE)
HOLD: Final = About("hold", RULE)
FLOOR: Final = About("floor", RULE)

NOT_REVOKED: Final = (REVOKED.met("it has not been revoked"),)
LEADS_ON: Final = (BACK.not_applicable("a promotion leads on"),)
NO_DEBT: Final = (DEBT.met("no review of a break-glass use is overdue"),)
NO_HOLD: Final = (HOLD.not_applicable("nothing holds it"),)
ABOVE_FLOOR: Final = (FLOOR.met("it was built at least as trustworthily as what the channel serves"),)


def judge_freeze(matter: Matter) -> tuple[Finding, ...]:
    """D8: the channel is not frozen for this agent. A freeze never holds up a rollback."""
    if matter.is_rollback:
        return (FREEZE.not_applicable("a freeze does not hold up a rollback"),)
    active = frozen(matter.policy, matter.request.agent, matter.request.channel, matter.now)
    if not active:
        return (FREEZE.met(f"{matter.request.channel} is not frozen"),)
    over, names = max(freeze.until for freeze in active), either((freeze.name for freeze in active), "and")
    return (
        FREEZE.unmet(
            f"{matter.request.channel} is frozen until {moment_text(over)}",
            found="; ".join((names, *(freeze.reason for freeze in active if freeze.reason))),
            expected=f"{moment_text(over)} or later",
            hint="wait, and it goes on by itself; a rollback is not held up",
        ),
    )


def judge_revoked(matter: Matter) -> tuple[Finding, ...]:
    """D9: the release has not been withdrawn. Nothing lifts that."""
    why = matter.inputs.release.revoked
    if why is None:
        return NOT_REVOKED
    what = f"{matter.request.agent}:{matter.inputs.release.version}"
    return (REVOKED.unmet(f"{what} is revoked", found=why, hint="publish a version without what was wrong with it"),)


def judge_forward(matter: Matter) -> tuple[Finding, ...]:
    """D10: a promotion leads on to a greater version, not to one that the channel has served before.

    But for what was left by rollback, which is new to it again: D14 holds that until somebody has looked, and D7 asks
    for a signature.
    """
    serving, release, channel = matter.inputs.channel.serving, matter.inputs.release, matter.inputs.channel
    if matter.is_rollback:
        return (FORWARD.not_applicable("a rollback leads back"),)
    name = matter.request.channel
    back = f"use `tidegate rollback {matter.request.agent} {name} --to {release.version}` to go back on purpose"
    if serving is not None and serving.digest == release.digest:
        return (FORWARD.unmet(f"{name} serves it already", found=release.version, expected="another release"),)
    if release.digest in channel.window and release.digest not in channel.left:
        message = f"{release.version} was served before in {name}"
        return (FORWARD.unmet(message, expected="a release that is new to it", hint=back),)
    if serving is not None and version_key(release.version) < version_key(serving.version):
        return (
            FORWARD.unmet(
                f"{release.version} is older than what {name} serves",
                found=release.version,
                expected=f"a version above {serving.version}",
                hint=back,
            ),
        )
    return (FORWARD.met(f"it leads on from {serving.version if serving else 'nothing'}"),)


def judge_back(matter: Matter) -> tuple[Finding, ...]:
    """D11: a rollback leads to a release that was once committed in this channel, and is not what it serves."""
    if not matter.is_rollback:
        return LEADS_ON
    channel, release = matter.inputs.channel, matter.inputs.release
    if channel.serving is not None and channel.serving.digest == release.digest:
        return (BACK.unmet(f"{channel.name} serves it already", found=release.version, expected="another release"),)
    if not committed_before(matter):
        return (
            BACK.unmet(
                f"{channel.name} has never served {release.version}",
                expected="a release that it served before",
                hint="promote it instead",
            ),
        )
    if within_window(matter):
        return (BACK.met("it is within the charter's rollback window"),)
    why = "was left by rollback" if release.digest in channel.left else "is beyond the charter's rollback window"
    return (BACK.met(f"it {why}: new approvals are needed"),)


def judge_newest(matter: Matter) -> tuple[Finding, ...]:
    """D12: it is the newest request of its agent and channel."""
    asked, newest = matter.request.sequence, matter.inputs.channel.sequence
    if asked == newest:
        return (NEWEST.met(f"it is request {asked}, the newest"),)
    return (
        NEWEST.unmet(
            "a newer request for this channel has superseded it",
            found=f"request {asked}",
            expected=f"request {newest}",
            hint="ask anew if this release is still the one that is wanted",
        ),
    )


def judge_debt(matter: Matter) -> tuple[Finding, ...]:
    """D13: nobody owes the review of a break-glass use. It never holds up a rollback."""
    if matter.is_rollback:
        return (DEBT.not_applicable("a review that is owed does not hold up a rollback"),)
    if not matter.inputs.channel.debts:
        return NO_DEBT
    glass = matter.policy.document.break_glass
    return (
        DEBT.unmet(
            "the review of a break-glass use is overdue",
            found="; ".join(sorted(matter.inputs.channel.debts)),
            hint="let a second person review it",
            who_can=glass.review.allow if glass else (),
        ),
    )


def judge_hold(matter: Matter) -> tuple[Finding, ...]:
    """D14: nobody holds the channel. A hold does not hold up a rollback."""
    hold = matter.inputs.channel.hold
    if matter.is_rollback or hold is None:
        return NO_HOLD
    agent, channel = matter.request.agent, matter.request.channel
    roles = (role for rule in matter.policy.rules_to(agent, channel) for role in rule.allow)
    return (
        HOLD.unmet(
            "it is held until somebody lifts that",
            found=hold,
            expected="a person who has looked into it",
            hint=f"once the reason is gone: `tidegate lift-hold {agent} {channel} --reason …`",
            who_can=tuple(dict.fromkeys(who for role in roles for who in holders(role, matter.policy))),
        ),
    )


def judge_floor(matter: Matter) -> tuple[Finding, ...]:
    """D15: it was built at least as trustworthily as what the channel serves. Going back to it is exempt."""
    release, serving, charter = matter.inputs.release, matter.inputs.channel.serving, matter.inputs.charter
    if matter.is_rollback and committed_before(matter):
        return (FLOOR.not_applicable("it has been served there before"),)
    if charter is None or release.facts is None or (serving is not None and serving.facts is None):
        whose = "what the channel serves" if release.facts is not None and charter is not None else "the release"
        return (
            FLOOR.unmet(
                f"it is not known how {whose} was built", state=State.INCONCLUSIVE, hint="publish a new version"
            ),
        )
    before = None if serving is None else serving.facts
    judges = (judge_ref, judge_runner, judge_builder, judge_signer)
    reasons = tuple(reason for judge in judges for reason in judge(release.facts, charter, before))
    if not reasons:
        return ABOVE_FLOOR
    return (
        FLOOR.unmet(
            "; ".join(reason.message for reason in reasons),
            found="; ".join(reason.found or "" for reason in reasons),
            expected="; ".join(reason.expected or "" for reason in reasons),
            hint=reasons[0].hint,
        ),
    )


def committed_before(matter: Matter) -> bool:
    """Whether the channel has served the release."""
    channel, digest = matter.inputs.channel, matter.inputs.release.digest
    return (
        digest in channel.left
        or digest in channel.window
        or any(tenure.channel == channel.name for tenure in matter.inputs.tenures)
    )
