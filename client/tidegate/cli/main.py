"""`tidegate`: parses arguments, runs one verb, and is the only place where errors become exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from tidegate import __version__
from tidegate.errors import InvalidInput, TidegateError, Unreachable

if TYPE_CHECKING:
    from tidegate.cli.output import Output

EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 0, 1, 2, 3, 128 + signal.SIGINT

# verb -> what it does, grouped as a person looks for it; the module tidegate.cli.<verb> has the arguments
VERBS: dict[str, dict[str, str]] = {
    "Build": {
        "init": "write a commented agent.yaml for an existing folder",
        "build": "make a bundle (an OCI image layout) of an agent's folder",
        "inspect": "show what is in a bundle",
    },
    "Release": {
        "publish": "build, push, sign, attest and name a release",
        "sign": "sign a bundle for an agent, a version and channels",
        "attest": "attach signed evidence to a bundle",
    },
    "Host": {
        "verify": "check a bundle against this host's trust file",
        "pull": "fetch a release, verify it and unpack it",
    },
    "Identity": {
        "login": "remember who you are",
        "whoami": "show who you are and what you may do",
    },
}
QUIET = "say nothing but results and errors"
_EXITS: tuple[tuple[type[TidegateError], int], ...] = (
    (InvalidInput, EXIT_USAGE),
    (Unreachable, EXIT_UNREACHABLE),
    (TidegateError, EXIT_REFUSED),
)


class _Misused(Exception):
    """The arguments are not what `parser` takes."""

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(message)
        self.parser, self.message = parser, message


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Misused(self, message)


class _VerbParser(_Parser):
    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def] # noqa: ANN001,ANN202 - as argparse has it
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # told here, where the usage is that of the verb
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 refused, 2 usage, 3 unreachable, 130 interrupted."""
    from tidegate.cli.output import Output

    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(arguments).parse_args(arguments)
    except _Misused as misused:
        return _tell(misused, Output(as_json="--json" in arguments))
    out = Output(as_json=getattr(args, "json", False), quiet=args.quiet)
    try:
        return _run(args, out)
    except TidegateError as error:
        out.error(error)
        return next(code for kind, code in _EXITS if isinstance(error, kind))
    except KeyboardInterrupt:
        out.say("interrupted; nothing was left half-done")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of stdout went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except Exception as error:
        if unusable := _unusable(error):
            out.error(unusable)
            return EXIT_USAGE
        if os.environ.get("TIDEGATE_DEBUG") == "1":
            raise
        out.error(_defect(error))
        return EXIT_REFUSED


def _tell(misused: _Misused, out: Output) -> int:
    """Say what is wrong with the arguments."""
    if out.as_json:
        out.json({"error": {"code": "usage", "message": misused.message}})
    misused.parser.print_usage(sys.stderr)
    sys.stderr.write(f"error: {misused.message}\n\nhint: run `{misused.parser.prog} --help`\n")
    return EXIT_USAGE


def _unusable(error: Exception) -> InvalidInput | None:
    """Tell the file that the system would not read or write; None for any other failure, such as a connection's."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return None
    what = error.filename if isinstance(error.filename, str | bytes) else "a file"
    return InvalidInput(
        f"{os.fsdecode(what)}: cannot be read or written: {error.strerror or error}", code="file-not-usable"
    )


def _defect(error: Exception) -> TidegateError:
    """Say that we failed, not the user. Nothing counts as success, so nothing was accepted."""
    return TidegateError(
        "tidegate failed for a reason nobody foresaw",
        found=f"{type(error).__name__}: {error}"[:400],
        hint="please report it, with what TIDEGATE_DEBUG=1 shows",
    )


def _run(args: argparse.Namespace, out: Output) -> int:
    result: int = args.run(args, out)
    return result


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tidegate",
        usage="tidegate [--version] [--quiet] VERB …",
        description="Signed releases of AI agents: build, publish, verify.",
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
            import_module(f"tidegate.cli.{verb}").add(commands)
            # suppressed: without it, what stands before the verb counts
            commands.choices[verb].add_argument(
                "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help=QUIET
            )
        else:
            commands.add_parser(verb, add_help=False)
    return parser


def _overview() -> str:
    lines: list[str] = []
    for group, verbs in VERBS.items():
        lines += [f"{group}:", *(f"  {verb:<12}{what}" for verb, what in verbs.items()), ""]
    lines.append("`tidegate VERB --help` tells more.  Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
