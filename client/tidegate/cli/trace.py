"""`tidegate trace`: everything the audit log says of a release, as text, JSON or a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.logs import add_log, log_states, log_trust, open_source

if TYPE_CHECKING:
    from tidegate.auditor.trace import Trace
    from tidegate.auditor.trace_find import Subject
    from tidegate.cli.output import Output
    from tidegate.verify.trust import LogTrust

FORMATS = ("text", "json", "svg", "mermaid")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "trace",
        help="show everything the audit log says of a release",
        description="Show where a release came from, who signed and approved it, what was decided, which channels "
        "served it and when, and whether it was withdrawn. The registry is asked; each entry it tells is then proven "
        "in the log, and what is only its word is marked. That it leaves nothing out is proven by --complete alone.",
        epilog="Guide: docs/guides/trace-a-release.md",
    )
    parser.add_argument("what", metavar="REF", help="[registry/]namespace/agent:VERSION, …@sha256:…, or a digest alone")
    parser.add_argument("--complete", action="store_true", help="read the whole log, so that nothing can be missing")
    parser.add_argument("--format", choices=FORMATS, default="text", help="text (default), json, svg or mermaid")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of stdout")
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Find, put in order, and show."""
    import json

    from tidegate.auditor.trace_svg import svg
    from tidegate.auditor.trace_text import mermaid, trace_lines

    form = "json" if args.json else args.format
    trace = _trace(args, out)
    if form == "json" and not args.output:
        out.json(trace.as_json())
        return 0
    drawn = {
        "text": lambda: "\n".join(trace_lines(trace)),
        "json": lambda: json.dumps(trace.as_json(), indent=2),
        "svg": lambda: svg(trace),
        "mermaid": lambda: mermaid(trace),
    }[form]()
    if args.output:
        path = Path(args.output).expanduser()
        path.write_text(f"{drawn}\n", encoding="utf-8")
        out.step("Written", str(path))
    elif form == "text":
        out.pages(drawn.split("\n"))
    else:
        out.data(drawn)
    return 0


def _trace(args: argparse.Namespace, out: Output) -> Trace:
    from tidegate.auditor.audited import open_audited
    from tidegate.auditor.trace_find import scan_log, search_log
    from tidegate.cli.identity import open_credentials
    from tidegate.credentials.connect import default_address, open_registry
    from tidegate.releases.verify import utc_now

    subject = _subject(args)
    whole = args.complete or args.source is not None
    trust = _log_trust(args, needed=whole)
    with open_source(args, out) as source:
        audited = open_audited(source, trust, log_states(args), now=utc_now()) if trust else None
        if whole and audited is not None:
            with out.progress(audited.head.checkpoint.size, "Reading", unit="entries") as bar:
                return scan_log(audited, subject, advance=bar.advance)
        address = default_address(args.registry, plain_http=args.plain_http)
        with open_registry(address, open_credentials(args, out)) as registry:
            return search_log(registry.api, subject, source, audited)


def _subject(args: argparse.Namespace) -> Subject:
    """Give what is traced; a registry that REF names is the one that is asked. Raises ReferenceInvalid."""
    from tidegate.auditor.trace_find import Subject
    from tidegate.digest import Digest
    from tidegate.releases.locate import demand_version_or_digest, parse_release

    if args.what.startswith("sha256:"):
        return Subject(Digest.parse(args.what))
    reference = demand_version_or_digest(parse_release(args.what))
    args.registry = reference.registry or args.registry
    return Subject.of(reference)


def _log_trust(args: argparse.Namespace, *, needed: bool) -> LogTrust | None:
    """Give the log's key; None where this host has none, unless it is needed. Raises InvalidInput."""
    from tidegate.errors import InvalidInput

    try:
        return log_trust(args)
    except InvalidInput as error:
        if needed or args.key or error.reasons[0].code not in ("trust-file-missing", "log-key-missing"):
            raise
        return None
