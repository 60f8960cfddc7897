"""`tidegate`: parses arguments and runs one verb."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING

from tidegate import __version__
from tidegate.cli.common import QUIET, add_quiet
from tidegate.cli.outcome import Misused, Parser, run_to_exit_code, tell_misuse

if TYPE_CHECKING:
    from tidegate.cli.output import Output

# verb -> what it does, grouped as a person looks for it; the module tidegate.cli.<verb> has the arguments
VERBS: dict[str, dict[str, str]] = {
    "Build": {
        "init": "write a commented agent.yaml for an existing folder",
        "build": "make a bundle (an OCI image layout) of an agent's folder",
        "inspect": "show what is in a bundle",
        "diff": "show what changed between two bundles",
        "sbom": "list what a bundle is made of, as CycloneDX",
    },
    "Release": {
        "publish": "build, push, sign, attest and name a release",
        "sign": "sign a bundle for an agent, a version and channels",
        "attest": "attach signed evidence to a bundle",
        "promote": "ask that a channel serve a release",
        "approve": "look at a request by your own trust file, and sign it",
        "review": "say what you think of the cases that came out otherwise",
        "reject": "say no to a request to promote",
        "withdraw": "take back a request to promote",
        "rollback": "have a channel serve an earlier release again",
        "revoke": "withdraw a release for good",
    },
    "Host": {
        "verify": "check a bundle against this host's trust file",
        "pull": "fetch a release, verify it and unpack it",
        "copy": "copy a verified release with its evidence to another place",
        "export": "write a verified release with its evidence to one file",
        "import": "bring an exported release into a registry or a layout",
    },
    "Audit": {
        "log": "prove what the audit log says, from its files alone",
        "trace": "show everything the audit log says of a release",
        "promotions": "show what channels serve, and what is asked for",
        "channels": "show what an agent's channels serve",
        "break-glass": "list emergencies that went past the policy, review one",
    },
    "Admin": {
        "policy": "write, test and change the policy of promotions",
        "login": "remember who you are",
        "whoami": "show who you are and what you may do",
        "lift-hold": "let what a rollback left be promoted again",
    },
}


class _VerbParser(Parser):
    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def] # noqa: ANN001,ANN202 - as argparse has it
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # told here, where the usage is that of the verb
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. Source: docs/spec/exit-codes.md."""
    from tidegate.cli.output import Output

    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(arguments).parse_args(arguments)
    except Misused as misused:
        return tell_misuse(misused, Output(as_json="--json" in arguments))
    out = Output(as_json=getattr(args, "json", False), quiet=args.quiet)
    return run_to_exit_code(lambda: _run(args, out), out)


def _run(args: argparse.Namespace, out: Output) -> int:
    result: int = args.run(args, out)
    return result


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="tidegate",
        usage="tidegate [--version] [--quiet] VERB …",
        description="Signed releases of AI agents: build, publish, promote, verify.",
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tidegate {__version__}")
    parser.add_argument("-q", "--quiet", action="store_true", help=QUIET)
    commands = parser.add_subparsers(
        metavar="VERB", required=True, prog="tidegate", parser_class=_VerbParser, help=argparse.SUPPRESS
    )
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    for verb in (verb for group in VERBS.values() for verb in group):
        if verb == named:  # importing one verb, not all of them, keeps start-up short
            import_module(f"tidegate.cli.{verb.replace('-', '_')}{'_' * iskeyword(verb)}").add(commands)
            add_quiet(commands.choices[verb])
        else:
            commands.add_parser(verb, add_help=False)
    return parser


def _overview() -> str:
    lines: list[str] = []
    for group, verbs in VERBS.items():
        lines += [f"{group}:", *(f"  {verb:<12}{what}" for verb, what in verbs.items()), ""]
    lines.append(
        "`tidegate VERB --help` tells more.  Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable, 4 waiting."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
