"""How a verified release is shown to a person: who built what from which commit, when, where, and what was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.formats.identity import ClaimName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.cli.output import Output
    from tidegate.formats.config import AgentConfig
    from tidegate.releases.verify import Verified


def tell_release(verified: Verified, out: Output, *, verbose: bool, folder: str | None = None) -> None:
    """Tell about `verified` in words, and print the reference that can never mean anything else, or the JSON.

    `verbose`: list every numbered step that passed. `folder`: where it was written, if it was.
    """
    show_release(verified, out, verbose=verbose)
    if out.as_json:
        out.json(verified.as_json() | ({} if folder is None else {"folder": folder}))
    else:
        out.data(str(verified.reference))


def show_release(verified: Verified, out: Output, *, verbose: bool) -> None:
    """Tell about `verified` in words alone."""
    release = verified.release
    out.say(out.paint(f"{release.agent} {release.version}", 1))
    for label, text in _facts(verified):
        out.say(f"{out.paint(f'{label:>12}', 2)}  {text}")
    checked = verified.checked
    if verbose:
        out.say()
        for number, title in checked:
            out.say(f"{out.paint(f'{number:>12}', 32)}  {title}")
    else:
        spans = _spans([number for number, _ in checked])
        out.say(f"{out.paint('     checked', 2)}  {spans} (--steps lists them)")
    out.say(f"{out.paint('    verified', 1, 32)}  {verified.reference}")


def _facts(verified: Verified) -> Iterator[tuple[str, str]]:
    release = verified.release
    provenance, facts = release.allowed.provenance, release.facts
    claim = provenance.identity.claim
    yield "digest", release.digest
    if release.config is not None:
        yield "behaviour", release.config.behaviour
    yield "built by", claim(ClaimName.BUILD_SIGNER_URI) or provenance.identity.san
    yield "from", f"{claim(ClaimName.SOURCE_REPOSITORY_URI)}, {claim(ClaimName.SOURCE_REPOSITORY_REF)}"
    yield "commit", claim(ClaimName.SOURCE_REPOSITORY_DIGEST) or "not said"
    yield "when", f"{provenance.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    if run := claim(ClaimName.RUN_INVOCATION_URI):
        yield "run", run
    runner = claim(ClaimName.RUNNER_ENVIRONMENT) or "unknown machine"
    yield (
        "where",
        f"{runner} ({facts.runner_class.label}), {facts.ref_class.label}, builder level {facts.builder_level}",
    )
    for each in release.allowed.signatures:
        yield "signed by", f"{each.identity.san} ({', '.join(each.signers)}), under root {each.root}"
    counted = (*release.allowed.signatures, provenance)
    for each in release.attestations:
        if each not in counted:
            yield "evidence", f"{each}, {each.identity.san}"
    for refused in release.refused:
        yield "not counted", str(refused)
    if release.allowed.channels:
        yield "channels", ", ".join(release.allowed.channels)
    if release.config is not None:
        yield from _excused(release.config)
    if verified.files is not None:
        yield "files", f"{verified.files}, each compared with the signed list"


def _excused(config: AgentConfig) -> Iterator[tuple[str, str]]:
    for model in config.unpinned:
        yield "unpinned", f"{model.id}: {model.unpinned or 'no reason given'}"
    for allowed in config.allowed_secrets:
        yield "secrets", f"not looked for in {allowed.path}: {allowed.reason}"


def _spans(numbers: list[str]) -> str:
    """Write `A1, A2, A3, R1` as `A1-A3, R1`."""
    spans: list[list[str]] = []
    for number in numbers:
        last = spans[-1][-1] if spans else ""
        if last[:1] == number[:1] and last[1:].isdigit() and int(last[1:]) + 1 == int(number[1:]):
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(span[0] if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans)
