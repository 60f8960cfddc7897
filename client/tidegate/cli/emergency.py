"""`--break-glass`: sign that a channel moves past its policy. What it takes, and how it is done."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.cli.common import trust_path
from tidegate.cli.identity import add_signing, open_signer
from tidegate.cli.moves import agreed

if TYPE_CHECKING:
    from tidegate.cli.moves import Desk
    from tidegate.cli.output import Output
    from tidegate.credentials.sources import Credentials
    from tidegate.remote.promotion_values import Promotion
    from tidegate.signing.signer import Signer
    from tidegate.verify.trust import Trust


def add_break_glass(parser: argparse.ArgumentParser) -> None:
    """Add `--break-glass`, and with it what signing takes."""
    parser.add_argument(
        "--break-glass",
        action="store_true",
        help="in an emergency: sign that it moves past the policy; needs --reason, and a second person's review later",
    )
    parser.add_argument("--yes", action="store_true", help="with --break-glass: do not ask")
    add_signing(parser)


@dataclass(frozen=True, slots=True)
class Glass:
    """Somebody who is about to break it: checked before anything is asked for."""

    signer: Signer
    credentials: Credentials
    trust: Trust
    reason: str
    asks: bool


def open_glass(args: argparse.Namespace, agent: str, channel: str, out: Output) -> Glass | None:
    """Give who breaks the glass, None where `args` do not ask for it.

    Raises InvalidInput; SigningRefused (code "not-in-charter") for whom the charter does not let.
    """
    from tidegate.errors import InvalidInput
    from tidegate.formats.charter import Role
    from tidegate.promotion.approve import demand_named
    from tidegate.promotion.examine import charter_of
    from tidegate.verify.trust import load_trust

    if not args.break_glass:
        return None
    if not args.reason:
        raise InvalidInput("whoever breaks the glass says why", expected="--reason TEXT")
    if not args.yes and not sys.stdin.isatty():
        raise InvalidInput(
            "there is no terminal to ask you at, so the glass stays whole",
            code="break-glass-not-confirmed",
            expected="a terminal, or --yes",
        )
    trust = load_trust(trust_path(args), allow_sandbox=args.sandbox)
    signer, credentials = open_signer(args, out)
    demand_named(charter_of(trust, agent), signer.expected_identity(), Role.BREAK_GLASS, channel)
    return Glass(signer, credentials, trust, args.reason, not args.yes)


def break_glass(glass: Glass, desk: Desk, request: Promotion, out: Output) -> Promotion:
    """Verify the release by one's own trust file, ask, sign, file. Raises BundleRefused, ApprovalRefused and more."""
    from tidegate.cli.checklist import move
    from tidegate.cli.report import show_release
    from tidegate.promotion.approve import file_break_glass
    from tidegate.promotion.examine import ApprovalRefused, Workplace
    from tidegate.releases.verify import utc_now

    place = Workplace(desk.registry, glass.trust, utc_now)
    release, _ = place.verify(request.agent, request.version, request.digest)
    out.say()
    show_release(release, out, verbose=False)
    if glass.asks and not agreed(f"{out.paint('break the glass', 1, 31)}: {move(request)}", out):
        raise ApprovalRefused(
            f"you did not say yes, so nothing was signed; the request {request.id} stays open",
            code="break-glass-declined",
        )
    filed = file_break_glass(place, request, release, glass.signer, reason=glass.reason)
    out.step("Glass broken", f"{move(request)}, as {filed.identity.san}", 1, 31)
    out.say(f"{'':>12}  somebody else must review it: `tidegate break-glass --review {request.id}`")
    return filed.request
