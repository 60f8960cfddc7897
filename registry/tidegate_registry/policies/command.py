"""`tidegate-registry policy install`. Data to stdout, words to stderr; `--json` gives one document."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tidegate.cli.outcome import EXIT_DONE
from tidegate.cli.output import Output
from tidegate.errors import InvalidInput
from tidegate_registry.operating import opened, operator

Verbs = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it
AddVerb = Callable[..., argparse.ArgumentParser]
FIRST = "installed by the operator"


def add_parsers(verbs: Verbs[argparse.ArgumentParser], add_verb: AddVerb) -> None:
    """Add the verbs of this room. `add_verb` makes one that knows `--config`."""
    group = verbs.add_parser("policy", help="give a registry its first policy", description="The operator's part.")
    inner = group.add_subparsers(metavar="VERB", required=True)
    install = add_verb(
        inner,
        "install",
        "put a first policy in force",
        "Put FILE in force as version 1. Everything after that is proposed by whoever it names, see `tidegate policy`.",
    )
    install.add_argument("file", type=Path, metavar="FILE", help="a policy, or with --namespace an overlay; see lint")
    install.add_argument("--namespace", metavar="NS", help="install an overlay for this namespace")
    install.add_argument(
        "--force", action="store_true", help="put it in force past a policy that nobody can change; needs --reason"
    )
    install.add_argument("--reason", metavar="TEXT", help="why; stays in the audit log")
    install.add_argument("--json", action="store_true", help="one JSON document")
    install.set_defaults(run=_install)


def _install(args: argparse.Namespace) -> int:
    from tidegate.policy.model import COMPANY
    from tidegate_registry.policies.install import install

    if args.force and not args.reason:
        raise InvalidInput("--force needs --reason", code="reason-missing", hint="say why nobody can propose it")
    out = Output(as_json=args.json)
    try:
        text = args.file.read_bytes()
    except OSError as error:
        raise InvalidInput("the policy cannot be read", code="policy-unreadable", found=error) from error
    with opened(args) as app:
        made = install(
            app,
            operator(),
            text,
            name=args.namespace or COMPANY,
            reason=args.reason or FIRST,
            recover=args.force,
            file_name=str(args.file),
        )
    if args.json:
        out.json({"policy": made.name, "number": made.number, "digest": str(made.digest), "eventId": made.event_id})
        return EXIT_DONE
    out.data(str(made.digest))
    out.step("Installed", f"{made.name} version {made.number}, in force from now on")
    return EXIT_DONE
