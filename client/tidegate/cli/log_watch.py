"""`tidegate log watch`: be told of what matters in the log, each alert with a proof of its entry."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.following import add_resume, log_opener, tell_wait
from tidegate.cli.logs import add_log, log_trust

if TYPE_CHECKING:
    from datetime import timedelta

    from tidegate.auditor.alerts import Alert
    from tidegate.auditor.follow import Follower
    from tidegate.auditor.position import Position
    from tidegate.auditor.rules import Mine, WatchRules
    from tidegate.auditor.watch import Deliver, Watcher
    from tidegate.auditor.watchfile import WatchFile
    from tidegate.auditor.webhook import Receiver
    from tidegate.cli.output import Output

MAX_SECRET_FILE_BYTES = 4 << 10
SECRET_VARIABLE = "TIDEGATE_WEBHOOK_SECRET"  # noqa: S105 - a name
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "watch",
        help=what,
        description="Follow the log and tell of what was asked for: on stdout, and by a signed webhook. Each alert is "
        "about an entry that is proven to be in the log, and carries the proof.",
        epilog="Exit codes with --once: 0 nothing to tell, 1 alerts or a log that is not as it must be, 3 unreachable. "
        "Guide: docs/guides/watch-the-log.md",
    )
    rules = parser.add_argument_group("what is told")
    rules.add_argument(
        "--identity",
        action="append",
        default=[],
        metavar="ISSUER,NAME",
        help="any use of this identity; * in NAME stands for any characters (repeatable)",
    )
    rules.add_argument("--person", action="append", default=[], metavar="NAME", help="any use of this person's name")
    rules.add_argument(
        "--agent", action="append", default=[], dest="agents", metavar="AGENT", help="changes of this agent, or acme/*"
    )
    rules.add_argument("--policy-changes", action="store_true", help="changes of policies, trust and roles")
    rules.add_argument("--break-glass", action="store_true", help="uses of break-glass")
    rules.add_argument("--refusals-per-minute", type=_number, metavar="N", help="more than N refusals within a minute")
    rules.add_argument("--quiet-for", metavar="TIME", help="a log without a new entry for so long, such as 1h")
    rules.add_argument("--witnessed-within", metavar="TIME", help="no witness for so long, such as 15m")
    rules.add_argument("--config", metavar="FILE", help="a watch.yaml with rules and webhook (docs/spec/alerts.md)")
    sending = parser.add_argument_group("where it is told, besides stdout")
    sending.add_argument("--webhook", metavar="URL", help="POST each alert there, signed")
    sending.add_argument("--webhook-secret", metavar="FILE", help=f"the secret (default: ${SECRET_VARIABLE})")
    sending.add_argument("--webhook-plain-http", action="store_true", help="allow http to another machine")
    parser.add_argument("--once", action="store_true", help="look once, and end")
    parser.add_argument(
        "--since", type=_number, metavar="INDEX", help="begin here (default: at the end; with --once at the start)"
    )
    add_resume(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Watch."""
    from tidegate.auditor.follow import Follower, rounds
    from tidegate.auditor.position import load_position

    config = _config(args)
    rules = _rules(args, config)
    receiver = _receiver(args, config)
    resume = Path(args.resume).expanduser() if args.resume else None
    position = load_position(resume) if resume else None
    with log_opener(args, out) as open_log, _delivery(receiver, args, out) as deliver:
        follower = Follower(open_log, position)
        watcher = _watcher(rules, follower, deliver, position=position, resume=resume, origin=log_trust(args).origin)
        if position is None and args.since is not None:
            follower.next = args.since
        if args.once:
            looked = watcher.round()
            out.step("Watched", f"{follower.next} entries, {watcher.count} alerts")
            return 1 if watcher.count or not looked else 0
        begun = position is not None or args.since is not None

        def once() -> None:
            nonlocal begun
            if begun:
                watcher.round()
            else:
                begun = watcher.begin_at_end()
                if begun:
                    out.step("Watching", f"from entry {follower.next} on")

        for _ in rounds(once, sleep=time.sleep, tell=partial(tell_wait, out)):
            pass
    return 0


def _watcher(
    rules: WatchRules,
    follower: Follower,
    deliver: Deliver,
    *,
    position: Position | None,
    resume: Path | None,
    origin: str,
) -> Watcher:
    from tidegate.auditor.position import Position
    from tidegate.auditor.watch import Told, Watcher
    from tidegate.releases.verify import utc_now
    from tidegate.tlog.merkle import EMPTY_ROOT

    place = position or Position(origin, 0, EMPTY_ROOT)
    told = Told.of(rules, place.kept)
    return Watcher(rules, follower, deliver, place=place, told=told, resume=resume, clock=utc_now)


def _config(args: argparse.Namespace) -> WatchFile | None:
    from tidegate.auditor.watchfile import MAX_WATCH_FILE_BYTES, parse_watch_file

    if not args.config:
        return None
    path = Path(args.config).expanduser()
    with path.open("rb") as file:
        return parse_watch_file(file.read(MAX_WATCH_FILE_BYTES + 1), name=str(path))


def _rules(args: argparse.Namespace, config: WatchFile | None) -> WatchRules:
    """Put flags and file together. Raises InvalidInput (code "watch-nothing") when there is no rule."""
    from tidegate.auditor.rules import Mine, WatchRules
    from tidegate.errors import InvalidInput

    base = config.rules if config else WatchRules()
    mine = (*(_identity(text) for text in args.identity), *(Mine(person=name) for name in args.person))
    rules = replace(
        base,
        mine=(*base.mine, *mine),
        agents=(*base.agents, *args.agents),
        policy_changes=base.policy_changes or args.policy_changes,
        break_glass=base.break_glass or args.break_glass,
        refusals=base.refusals if args.refusals_per_minute is None else args.refusals_per_minute,
        quiet=_span(args.quiet_for, "--quiet-for") or base.quiet,
        checkpoint_age=_span(args.witnessed_within, "--witnessed-within") or base.checkpoint_age,
    )
    if rules.is_empty:
        raise InvalidInput(
            "what is to be told?",
            code="watch-nothing",
            hint="name --identity, --person, --agent, --policy-changes, --break-glass, --refusals-per-minute, "
            "--quiet-for or --witnessed-within, or a --config FILE",
        )
    return rules


def _number(text: str) -> int:
    from tidegate.tlog.text import parse_decimal

    number = parse_decimal(text)
    if number is None:
        raise argparse.ArgumentTypeError("give a number from 0 on")
    return number


def _identity(text: str) -> Mine:
    from tidegate.auditor.rules import Mine
    from tidegate.errors import InvalidInput

    issuer, comma, name = text.partition(",")
    if not (issuer and comma and name):
        raise InvalidInput(
            "an identity is an issuer and a name",
            code="watch-identity",
            found=text[:200],
            expected="https://ISSUER,NAME",
        )
    return Mine(issuer, name)


def _span(text: str | None, flag: str) -> timedelta | None:
    from datetime import timedelta

    from tidegate.cli.moves import seconds_of

    return None if text is None else timedelta(seconds=seconds_of(text, flag))


def _receiver(args: argparse.Namespace, config: WatchFile | None) -> Receiver | None:
    """Give where alerts go. Raises InvalidInput (also code "webhook-secret-missing")."""
    from tidegate.auditor.webhook import parse_receiver
    from tidegate.errors import InvalidInput

    hook = config.webhook if config else None
    url = args.webhook or (hook.url if hook else None)
    if url is None:
        return None
    named = args.webhook_secret or (hook.secret_file if hook else None)
    if named:
        with Path(named).expanduser().open("rb") as file:
            secret = file.read(MAX_SECRET_FILE_BYTES).decode("ascii", "replace")
    else:
        secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise InvalidInput(
            "a webhook needs a secret, by which the receiver knows that alerts are ours",
            code="webhook-secret-missing",
            hint=f"name a file with --webhook-secret, or set {SECRET_VARIABLE}",
        )
    plain = args.webhook_plain_http or (hook is not None and hook.plain_http)
    return parse_receiver(url, secret, plain_http=plain)


@contextmanager
def _delivery(receiver: Receiver | None, args: argparse.Namespace, out: Output) -> Iterator[Deliver]:
    """Open where alerts go: first to stdout, which nothing keeps waiting, then to the receiver."""
    from tidegate.auditor.watch import ONCE_ATTEMPTS, persistently

    show = _shown(out, as_json=args.json)
    if receiver is None:
        yield show
        return
    import httpx2

    from tidegate.auditor.webhook import Webhook

    with httpx2.Client(follow_redirects=False, trust_env=not receiver.is_local) as client:
        webhook = Webhook(receiver, client, clock=time.time)
        send = persistently(
            lambda alert: webhook.send(alert.id, alert.body),
            sleep=time.sleep,
            tell=partial(tell_wait, out),
            attempts=ONCE_ATTEMPTS if args.once else None,
        )

        def deliver(alert: Alert) -> None:
            show(alert)
            send(alert)

        yield deliver


def _shown(out: Output, *, as_json: bool) -> Callable[[Alert], None]:
    from tidegate.auditor.export import text_line

    def show(alert: Alert) -> None:
        out.data(text_line(alert.as_json()).decode().rstrip("\n") if as_json else alert.line())

    return show
