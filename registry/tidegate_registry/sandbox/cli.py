"""The verbs of the sandbox: `tidegate-registry sandbox` runs it, `… sandbox ci -- COMMAND` runs a command as a CI job.

Nothing heavy is imported here: the argument parser of `tidegate-registry` loads this module for every verb.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.errors import InvalidInput, NotFound, Unreachable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from tidegate_registry.sandbox.folder import SandboxFolder

REQUEST_SECONDS = 10
MAX_ANSWER_BYTES = 64 << 10
HIGHEST_PORT = 65_535


def default_folder() -> Path:
    """Give the folder used without --dir: $TIDEGATE_SANDBOX_DIR, or one below the user's state folder (XDG)."""
    named = os.environ.get("TIDEGATE_SANDBOX_DIR")
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(named or f"{state}/tidegate-sandbox").expanduser()


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the verb `sandbox` to a command line; `run` runs what it parsed."""
    parser = subparsers.add_parser(
        "sandbox",
        help="run registry, object store and a private Sigstore on this machine, to try things",
        description="Run a registry, an object store and a private Sigstore on loopback, in one process tree.",
    )
    _add_dir(parser, default_folder())
    parser.add_argument(
        "--port", type=_port, metavar="PORT", help="the registry's port (default: chosen at the first start, then kept)"
    )
    parser.add_argument(
        "--sigstore-port", type=_port, metavar="PORT", help="Sigstore's port; can be chosen at the first start only"
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="keep rows there, such as postgresql://…, not in SQLite; say it at every start",
    )
    parser.set_defaults(sandbox_verb=None, run=run)
    _add_ci(parser.add_subparsers(title="verbs", metavar="VERB", dest="sandbox_verb"))
    return parser


def run(args: argparse.Namespace) -> int:
    """Run a parsed command line."""
    if args.sandbox_verb == "ci":
        return _run_ci(args)
    from tidegate_registry.sandbox.supervisor import run_sandbox

    return run_sandbox(args.dir, registry_port=args.port, sigstore_port=args.sigstore_port, database_url=args.database)


def _add_ci(verbs: _SubParsersAction[argparse.ArgumentParser]) -> None:
    ci = verbs.add_parser(
        "ci",
        help="run a command as a CI job of the running sandbox",
        description="Register a CI job with the running sandbox and run COMMAND with the environment of that job.",
    )
    _add_dir(ci, argparse.SUPPRESS)
    ci.add_argument("--repository", required=True, metavar="OWNER/NAME", help="the repository the job belongs to")
    ci.add_argument("--ref", metavar="REF", help="full git ref (default: refs/heads/main)")
    ci.add_argument(
        "--sha",
        metavar="COMMIT",
        help="commit, 40 hexadecimal digits (default: the current folder's, in a git checkout)",
    )
    ci.add_argument("--workflow", metavar="PATH", help="workflow file (default: .ci/workflows/release.yml)")
    ci.add_argument("--event", metavar="NAME", help="what started it (default: push)")
    ci.add_argument("--run-id", metavar="NUMBER", help="run id (default: 1)")
    ci.add_argument("--runner", metavar="CLASS", help="runner environment (default: sandbox-hosted)")
    ci.add_argument("--unprotected", action="store_true", help="the ref is not protected by the forge")
    ci.add_argument(
        "--reusable", metavar="OWNER/NAME/PATH@REF", help="the reusable workflow that holds the build steps"
    )
    ci.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="what to run")


def _add_dir(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        default=default,
        metavar="DIR",
        help="the sandbox's folder (default: $TIDEGATE_SANDBOX_DIR, then ~/.local/state/tidegate-sandbox)",
    )


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to {HIGHEST_PORT})")
    return number


def _run_ci(args: argparse.Namespace) -> int:
    """Run the command as a job; its exit code is ours, or 128 + the signal that ended it."""
    from tidegate_registry.sandbox.command import head_commit, run_command
    from tidegate_registry.sandbox.folder import SandboxFolder

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise InvalidInput("there is no command to run", hint="write it after `--`")
    job = {
        "repository": args.repository,
        "ref": args.ref,
        "sha": head_commit() if args.sha is None else args.sha,
        "workflow": args.workflow,
        "event": args.event,
        "run_id": args.run_id,
        "runner_environment": args.runner,
        "ref_protected": not args.unprotected,
        "job_workflow_ref": args.reusable,
    }
    given = {name: value for name, value in job.items() if value is not None}
    environment = register_job(SandboxFolder(args.dir.expanduser().absolute()), given)
    return run_command(command, environment)


def register_job(folder: SandboxFolder, job: dict[str, object]) -> dict[str, str]:
    """Register a CI job with the sandbox that runs on `folder`; gives the environment to run its commands with.

    Raises NotFound when there is no sandbox there, Unreachable when it does not run, InvalidInput on a bad job.
    """
    import http.client
    import json

    from tidegate.formats.jcs import parse_object
    from tidegate_registry.sandbox.files import read_secret
    from tidegate_registry.sandbox.ports import HOST

    ports = folder.load_ports()
    if ports is None or not folder.admin_secret.exists():
        raise NotFound(f"there is no sandbox in {folder.path}", hint="start one: tidegate-registry sandbox --dir DIR")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {read_secret(folder.admin_secret)}"}
    connection = http.client.HTTPConnection(HOST, ports.sigstore, timeout=REQUEST_SECONDS)
    try:
        connection.request("POST", "/ci/jobs", json.dumps(job).encode(), headers)
        response = connection.getresponse()
        raw = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"the sandbox in {folder.path} does not answer",
            found=error,
            hint="start it: tidegate-registry sandbox --dir DIR",
        ) from error
    finally:
        connection.close()
    answer = parse_object(raw, limit=MAX_ANSWER_BYTES, what="the sandbox's answer")
    if response.status != http.client.CREATED:
        raise InvalidInput(f"the sandbox refused the job: {answer.get('message')}", code="ci-job-refused")
    environment = answer.get("environment")
    if not isinstance(environment, dict):
        raise Unreachable("the sandbox's answer has no environment")
    return {name: str(value) for name, value in environment.items()}
