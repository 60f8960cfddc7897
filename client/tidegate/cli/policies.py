"""What the commands that change a policy share: which policy, which registry, and how a proposal is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection, open_desk
from tidegate.cli.outcome import EXIT_DONE, EXIT_REFUSED, EXIT_WAITING

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.remote.policies import Policies, Proposal

MAX_POLICY_BYTES = 1 << 20  # as `policy.load` has it, which is too heavy to import for `--help`


def add_policy_name(parser: argparse.ArgumentParser) -> None:
    """Add which policy is meant, and what every command here takes."""
    parser.add_argument(
        "--namespace", metavar="NS", help="the overlay of this namespace (default: the company-wide policy)"
    )
    add_connection(parser)


def policy_name(args: argparse.Namespace) -> str:
    """Give the name under which the registry knows the policy."""
    from tidegate.policy.model import COMPANY

    return str(args.namespace) if args.namespace else COMPANY


@contextmanager
def open_policies(args: argparse.Namespace, out: Output) -> Iterator[Policies]:
    """Open the registry that `args` name."""
    from tidegate.remote.policies import Policies

    with open_desk(args, out) as desk:
        yield Policies(desk.registry.api)


def read_text(path: Path) -> str:
    """Read a policy's file. Raises InvalidInput, OSError."""
    from tidegate.errors import InvalidInput

    raw = path.read_bytes()
    try:
        if len(raw) > MAX_POLICY_BYTES:
            raise InvalidInput(f"{path} is too large", found=len(raw), expected=f"at most {MAX_POLICY_BYTES} bytes")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text", found=error.reason, expected="UTF-8") from error


def shown(text: str) -> str:
    """Give a text from a registry as a terminal may have it: no control characters but line breaks and tabs."""
    from tidegate.remote.answers import clean_text

    return "\n".join(
        "\t".join("".join(map(clean_text, _pieces(part))) for part in line.split("\t")) for line in text.split("\n")
    )


def _pieces(text: str, size: int = 1000) -> Sequence[str]:
    """Cut a text into pieces that `clean_text` does not cut."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def changes_between(name: str, before: str | None, after: str, company: str | None) -> tuple[str, ...]:
    """Say in sentences what `after` changes in `before`. `company`: the company-wide text, for an overlay.

    Raises PolicyInvalid with every mistake of a text.
    """
    from tidegate.policy.changes import changes
    from tidegate.policy.load import load_policy

    if company is None:
        old = None if before is None else load_policy(before.encode(), name=f"{name} before").document
        return changes(old, load_policy(after.encode(), name=name).document)
    base = company.encode()
    loaded = load_policy(base, after.encode(), name="company-wide policy", overlay_name=name).overlay
    earlier = None
    if before is not None:
        earlier = load_policy(base, before.encode(), name="company-wide policy", overlay_name=f"{name} before").overlay
    return changes(earlier, loaded) if loaded is not None else ()


def company_text(policies: Policies, name: str) -> str | None:
    """Give the company-wide text that the overlay `name` rests on; None for the company-wide policy itself."""
    from tidegate.policy.model import COMPANY

    return None if name == COMPANY else policies.in_force().text


def tell_changes(sentences: Sequence[str], out: Output) -> None:
    """Say what changes, a line each."""
    for sentence in sentences:
        out.say(f"  {out.paint('~', 1, 33)} {sentence}")
    if not sentences:
        out.say("  nothing that policies mean: only words, order or comments")


def finish(proposal: Proposal, out: Output, verb: str) -> int:
    """Say how a proposal stands, write the result, and give the exit code: in force, waiting, or stale."""
    out.say()
    name = proposal.policy
    if proposal.state == "applied":
        out.step(verb, f"{name} version {proposal.applied} is in force")
    elif proposal.state == "open":
        out.step("Waiting", f"{name}, to be made from version {proposal.base}", 1, 33)
        for sentence in proposal.missing:
            out.say(f"{'':>12}  {sentence}")
        out.say(f"{'':>12}  `tidegate policy approve {proposal.id}` agrees to it")
    else:
        out.step("Stale", f"{name} has changed since version {proposal.base}: propose it again", 1, 31)
    if out.as_json:
        out.json(proposal.document)
    else:
        out.data(proposal.id)
    return {"applied": EXIT_DONE, "open": EXIT_WAITING}.get(proposal.state, EXIT_REFUSED)
