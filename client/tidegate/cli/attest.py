"""`tidegate attest`: attach signed evidence to a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json
from tidegate.cli.identity import add_signing, open_signer
from tidegate.cli.sign import add_target, tell

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "attest",
        help="attach signed evidence to a bundle",
        description="Sign a statement about a bundle and attach it, in the layout or in the registry. Who may attest "
        "what is in the agent's charter.",
        epilog="Types: release, provenance, signature, evaluation, vulnerabilities, sbom-cyclonedx, sbom-spdx, "
        "approval, break-glass, review, shadow, test-result, or any predicate type's URI.",
    )
    parser.add_argument("kind", metavar="TYPE", help="short name or URI, see below")
    add_target(parser)
    parser.add_argument(
        "--predicate", metavar="FILE", help="the JSON object to sign, - for stdin; provenance in CI needs none"
    )
    _add_evaluation(parser)
    add_signing(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("evaluation", "made from what a test tool wrote, instead of --predicate")
    group.add_argument(
        "--from", dest="results", metavar="FILE", help="results: JUnit XML, CSV (case, passed) or promptfoo's JSON"
    )
    group.add_argument("--suite", metavar="NAME", help="the suite's name; evaluations are compared within a suite")
    group.add_argument("--dataset", metavar="FILE|DIGEST", help="the cases' data; a file is hashed")
    group.add_argument("--harness", metavar="FILE|DIGEST", help="what ran them, such as a lock file or an image")
    group.add_argument("--judge", metavar="PROVIDER/MODEL[@PIN]", help="the model that judged the answers, if one did")
    group.add_argument("--repeats", type=int, metavar="K", help="how often each case was run (default: 1)")
    group.add_argument("--reader", metavar="NAME", help="junit, table, promptfoo, or a module for another tool")


def run(args: argparse.Namespace, out: Output) -> int:
    """Sign, attach, tell."""
    from tidegate.attest import attest, open_target

    predicate = _content(args)
    signer, credentials = open_signer(args, out)
    options = {"called": args.called, "registry": args.registry}
    with open_target(args.what, **options, plain_http=args.plain_http, credentials=credentials) as target:
        tell(attest(target, signer, args.kind, predicate), "Attested", out)
    return 0


def _content(args: argparse.Namespace) -> bytes | None:
    """Give the predicate, before anybody is asked to sign in."""
    from tidegate.errors import InvalidInput
    from tidegate.formats.predicates.types import PREDICATE_EVALUATION, predicate_type

    uri = predicate_type(args.kind)
    given = [name for name in ("suite", "dataset", "harness", "judge", "repeats", "reader") if getattr(args, name)]
    if args.results is None:
        if given:
            raise InvalidInput(f"--{given[0]} goes with --from", code="evaluation-options")
        return _read(args.predicate)
    if uri != PREDICATE_EVALUATION or args.predicate is not None:
        raise InvalidInput(
            "--from makes an evaluation",
            code="evaluation-options",
            found=args.kind if args.predicate is None else "--predicate",
            expected="tidegate attest evaluation … --from FILE, without --predicate",
        )
    missing = [f"--{name}" for name in ("suite", "dataset", "harness") if name not in given]
    if missing:
        raise InvalidInput(
            "it is not said what was measured with what", code="evaluation-options", expected=" and ".join(missing)
        )
    return _evaluated(args)


def _evaluated(args: argparse.Namespace) -> bytes:
    from tidegate.evaluation.load import load_digest, load_evaluation, parse_judge
    from tidegate.evaluation.results import Measured
    from tidegate.formats.jcs import canonical_bytes

    about = Measured(
        suite=args.suite,
        dataset=load_digest(args.dataset),
        harness=load_digest(args.harness),
        repeats=1 if args.repeats is None else args.repeats,
        judge=None if args.judge is None else parse_judge(args.judge),
    )
    return canonical_bytes(load_evaluation(Path(args.results).expanduser(), about, args.reader).as_json())


def _read(where: str | None) -> bytes | None:
    from tidegate.errors import InvalidInput
    from tidegate.formats.statement import MAX_STATEMENT_BYTES

    if where is None:
        return None
    try:
        if where == "-":
            return sys.stdin.buffer.read(MAX_STATEMENT_BYTES + 1)
        with Path(where).expanduser().open("rb") as file:
            return file.read(MAX_STATEMENT_BYTES + 1)
    except OSError as error:
        raise InvalidInput("the predicate cannot be read", found=f"{where}: {error.strerror}") from error
