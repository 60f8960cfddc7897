"""What is allowed in a policy and probably not meant: warnings, each with its line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from itertools import chain

from tidegate.errors import Reason
from tidegate.formats.document import mistake_at
from tidegate.formats.yamldoc import PathInside, YamlDocument
from tidegate.policy.crosscheck import roles_named, signers_named
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import AddedTransition, PolicyDocument, PolicyOverlay, Transition
from tidegate.policy.people import most_holders
from tidegate.policy.requirements import Requirement


@dataclass(frozen=True, slots=True)
class _File:
    """One of the two documents, with its source."""

    document: PolicyDocument | PolicyOverlay
    source: YamlDocument

    def warn(self, code: str, path: PathInside, message: str, hint: str | None = None) -> Reason:
        return mistake_at(self.source, path, message, code=code, hint=hint)


def warnings_of(policy: LoadedPolicy, now: datetime) -> tuple[Reason, ...]:
    """Give the warnings about a policy, those of its overlay after its own; `now` is what dates are held against."""
    base = _File(policy.document, policy.source)
    files = [base]
    if policy.overlay is not None and policy.overlay_source is not None:
        files.append(_File(policy.overlay, policy.overlay_source))
    return (
        *_unused(policy, files),
        *_unreachable(policy.document, base),
        *chain.from_iterable(_too_few(policy, file) for file in files),
        *_conditions(policy, files),
        *chain.from_iterable(_over(file, now) for file in files),
    )


def _requirements(file: _File) -> Iterator[tuple[PathInside, Requirement]]:
    transitions: Sequence[Transition | AddedTransition] = file.document.transitions
    for index, transition in enumerate(transitions):
        for number, requirement in enumerate(transition.require):
            yield ("transitions", index, "require", number), requirement


def _unused(policy: LoadedPolicy, files: Iterable[_File]) -> Iterator[Reason]:
    files = tuple(files)
    document = policy.document
    required = [requirement for file in files for _, requirement in _requirements(file)]
    roles = {*document.editors.allow, *(name for one in document.overlay_editors.values() for name in one.allow)}
    roles |= {name for transition in document.transitions for name in transition.allow}
    roles |= {name for requirement in required for name in roles_named(requirement)}
    roles |= {*document.auditors}
    if document.break_glass is not None:
        roles |= {*document.break_glass.allow, *document.break_glass.review.allow}
    signers = {name for requirement in required for name in signers_named(requirement)}
    signers |= {name for file in files for entry in file.document.publishers for name in entry.signers}
    for file in files:
        for role, bindings in file.document.roles.items():
            if role not in roles:
                yield file.warn("role-unused", ("roles", role), "nothing asks for this role", "remove it, or use it")
            elif not bindings:
                yield file.warn("role-unbound", ("roles", role), "nobody has this role", "bind it to somebody")
        for signer in file.document.signers:
            if signer not in signers:
                yield file.warn(
                    "signer-unused", ("signers", signer), "no requirement names this signer", "remove it, or use it"
                )


def _unreachable(document: PolicyDocument, file: _File) -> Iterator[Reason]:
    reached: set[str | None] = {None}
    # edges go forward only, so one pass in the order of the channels finds them all
    for channel in document.channels:
        if any(transition.to == channel and transition.from_ in reached for transition in document.transitions):
            reached.add(channel)
    for index, channel in enumerate(document.channels):
        if channel not in reached:
            yield file.warn(
                "channel-unreachable",
                ("channels", index),
                f"no release can come to {channel}",
                "add a transition to it; the first of them all has no `from`",
            )


def _too_few(policy: LoadedPolicy, file: _File) -> Iterator[Reason]:
    for path, requirement in _requirements(file):
        wanted = requirement.approvals
        most = None if wanted is None else most_holders(policy.roles[wanted.role], policy.people)
        if wanted is not None and most is not None and most < wanted.count:
            message = f"asks {wanted.count} persons, and {wanted.role} can be no more than {most}"
            yield file.warn("too-few-persons", (*path, "approvals", "count"), message, "bind the role to more persons")


def _conditions(policy: LoadedPolicy, files: Iterable[_File]) -> Iterator[Reason]:
    for file, loaded in zip(files, policy.requirements, strict=False):
        for index, requirements in enumerate(loaded):
            for number, one in enumerate(requirements):
                path: PathInside = ("transitions", index, "require", number, "when")
                for warning in () if one.program is None else one.program.warnings:
                    yield replace(file.warn(warning.code, path, warning.message, warning.hint), found=warning.found)


def _over(file: _File, now: datetime) -> Iterator[Reason]:
    for index, freeze in enumerate(file.document.freezes):
        if freeze.end is not None and freeze.end <= now:
            yield file.warn("freeze-over", ("freezes", index), "this freeze is over", "remove it")
    for path, requirement in _requirements(file):
        if requirement.warn_until is not None and _midnight(requirement.warn_until.isoformat()) <= now:
            yield file.warn("warning-over", (*path, "warnUntil"), "it no longer only warns", "remove the date")
    if isinstance(file.document, PolicyDocument):
        for index, waiver in enumerate(file.document.exceptions):
            if waiver.until <= now:
                yield file.warn("exception-over", ("exceptions", index), "this exception is over", "remove it")


def _midnight(day: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(day), time(), UTC)
