"""What the commands about the audit log share: which log, whose key, and what was seen of it before."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import DEFAULT_TRUST, add_json, add_plain_http, add_registry

if TYPE_CHECKING:
    from tidegate.auditor.audited import AuditedLog
    from tidegate.auditor.find import FoundEntry
    from tidegate.auditor.source import LogSource
    from tidegate.auditor.state import LogStates
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject
    from tidegate.verify.trust import LogTrust


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add which log is meant, by whose key it is known, and where the state is."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="URL|DIR",
        help="the log's files: a URL such as https://HOST/log, or a folder (default: those of --registry)",
    )
    add_registry(parser)
    add_plain_http(parser)
    add_log_trust(parser)
    add_state(parser)
    add_json(parser)


def add_entry(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names an entry."""
    parser.add_argument("entry", metavar="ENTRY", help="its index, its event id, or sha256:<its leaf hash>")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add where it is kept what was seen."""
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="where it is kept what was seen last (default: $XDG_STATE_HOME/tidegate/logs)",
    )


def add_log_trust(parser: argparse.ArgumentParser) -> None:
    """Add by whose key a log is known."""
    parser.add_argument(
        "--trust",
        metavar="FILE",
        default=os.environ.get("TIDEGATE_TRUST"),
        help=f"the trust file whose `log` names key and witnesses (default: $TIDEGATE_TRUST, then {DEFAULT_TRUST})",
    )
    parser.add_argument("--key", metavar="VKEY", help="the log's key, NAME+ID+KEY, in place of a trust file's")


def log_trust(args: argparse.Namespace) -> LogTrust:
    """Give the key and witnesses that `args` name. Raises InvalidInput."""
    from tidegate.cli.common import trust_path
    from tidegate.tlog.note import VerifierKey
    from tidegate.verify.trust import LogTrust, load_log_trust

    return LogTrust(VerifierKey.parse(args.key)) if args.key else load_log_trust(trust_path(args))


def log_states(args: argparse.Namespace) -> LogStates:
    """Give where it is kept what was seen."""
    from tidegate.auditor.state import LogStates

    return LogStates(Path(args.state).expanduser()) if args.state else LogStates.of_user(os.environ)


@contextmanager
def open_source(args: argparse.Namespace, out: Output, where: str | None = None) -> Iterator[LogSource]:
    """Open the log at `where`, else the one that `args` name, as whoever we are. Raises InvalidInput."""
    from tidegate.auditor.source import open_log
    from tidegate.cli.identity import open_credentials

    credentials = open_credentials(args, out)
    with open_log(
        args.source if where is None else where,
        registry=None if where else args.registry,
        identity=credentials.registry_token,
        plain_http=args.plain_http,
    ) as source:
        yield source


@contextmanager
def open_entry(args: argparse.Namespace, out: Output) -> Iterator[tuple[AuditedLog, FoundEntry]]:
    """Open the log that `args` name and prove the entry that they name, with a bar while it is looked for."""
    from tidegate.auditor.audited import open_audited
    from tidegate.auditor.find import find_entry
    from tidegate.releases.verify import utc_now

    trust, states = log_trust(args), log_states(args)
    with open_source(args, out) as source:
        audited = open_audited(source, trust, states, now=utc_now())
        with out.progress(audited.head.checkpoint.size, "Looking", unit="entries") as bar:
            found = find_entry(audited, args.entry, advance=bar.advance)
        yield audited, found


def tell_head(audited: AuditedLog, out: Output, verb: str) -> None:
    """Say which tree of which log it is about, who signed it, and what was known of it before."""
    checkpoint, seen, before = audited.head.checkpoint, audited.seen, audited.before
    out.step(verb, f"{checkpoint.origin}, {checkpoint.size:,} entries")
    out.step("Root", checkpoint.root.hex(), 1)
    out.step("Signed by", f"{audited.trust.key.name}+{audited.trust.key.key_id.hex()}", 1)
    for key, at in audited.head.cosigned.items():
        out.step("Cosigned by", f"{key.name} at {at:%Y-%m-%d %H:%M:%S} UTC", 1)
    if seen is None or before is None:
        out.step("First look", "the key is known, but not how long the log was before: cuts show from now on", 1, 33)
        return
    grown = checkpoint.size - seen.checkpoint.size
    how = f"{grown:,} more since" if grown else "unchanged since"
    out.step("Grown", f"{how} {before.at:%Y-%m-%d %H:%M:%S} UTC; begins with the {seen.checkpoint.size:,} seen then", 1)


def head_document(audited: AuditedLog) -> JsonObject:
    """Give the same for `--json`."""
    from tidegate.formats.moment import moment_text

    checkpoint, seen, before = audited.head.checkpoint, audited.seen, audited.before
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": str(audited.trust.key),
        "source": audited.source.name,
        "cosigned": {key.name: moment_text(at) for key, at in audited.head.cosigned.items()},
        "before": None
        if seen is None or before is None
        else {"size": seen.checkpoint.size, "root": seen.checkpoint.root.hex(), "at": moment_text(before.at)},
    }
