"""`tidegate-registry serve | worker | migrate | policy | keys | fsck | gc | sandbox`.

Exit codes are those of `tidegate`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.outcome import EXIT_DONE, EXIT_REFUSED, Misused, Parser, run_to_exit_code, tell_misuse
from tidegate.cli.output import Output
from tidegate.errors import Conflict

if TYPE_CHECKING:
    import socket

    from tidegate_registry.settings import Settings

BACKLOG = 2048  # connections that wait to be accepted; uvicorn's own default
DRAIN_SECONDS = 20  # for requests under way after SIGTERM; orchestrators kill after 30


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code: 0 done, 1 refused, 2 usage, 3 unreachable, 130 interrupted."""
    out = Output()
    try:
        args = _parser().parse_args(argv)
    except Misused as misused:
        return tell_misuse(misused, out)
    return run_to_exit_code(lambda: _run(args), out)


def _run(args: argparse.Namespace) -> int:
    code: int = args.run(args)
    return code


def _parser() -> argparse.ArgumentParser:
    from tidegate_registry import __version__
    from tidegate_registry.audit import keys_command as keys
    from tidegate_registry.keeping import command as keeping
    from tidegate_registry.policies import command as policies
    from tidegate_registry.sandbox.cli import add_parser

    parser: argparse.ArgumentParser = Parser(prog="tidegate-registry", description="The Tidegate registry.")
    parser.add_argument("--version", action="version", version=f"tidegate-registry {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    serve = _verb(verbs, "serve", "answer requests", "Serve the registry. Settings come from the environment.")
    serve.add_argument("--host", help="address to listen on (default: listen_host, 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: listen_port, 5000)")
    serve.set_defaults(run=_serve)
    worker = _verb(
        verbs,
        "worker",
        "write the log, answer nobody",
        "Run the worker: integrate the audit log and sign its checkpoints. For `worker = separate`; any number of them "
        "may run, and one leads.",
    )
    worker.set_defaults(run=_worker)
    migrate = _verb(verbs, "migrate", "bring the database to this version", "Create or upgrade the schema; repeatable.")
    migrate.set_defaults(run=_migrate)
    keeping.add_parsers(verbs, _verb)
    policies.add_parsers(verbs, _verb)
    keys.add_parsers(verbs, _verb)
    add_parser(verbs)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=summary, description=description)
    verb.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML or YAML (default: TIDEGATE_REGISTRY_CONFIG); see settings.md"
    )
    return verb


def _serve(args: argparse.Namespace) -> int:
    import gc

    import uvicorn

    from tidegate_registry import logs
    from tidegate_registry.app import build_services, check_start, create_app
    from tidegate_registry.settings_file import load_settings

    settings = _override(load_settings(args.config), args)
    logs.configure()
    services = build_services(settings)
    with closing(services.db):
        check_start(services)  # before the port opens: what is wrong is one line, not a traceback of the server
        config = uvicorn.Config(
            create_app(settings, services=services, checked=True),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = uvicorn.Server(config)
        gc.collect()
        gc.freeze()  # what is here now stays until the end: the collector need not look at it again and again
        with _listen(settings.listen_host, settings.listen_port) as listener:
            server.run(sockets=[listener])
    return EXIT_DONE if server.started else EXIT_REFUSED


def _worker(args: argparse.Namespace) -> int:
    import asyncio

    from tidegate_registry import logs
    from tidegate_registry.app import build_services, check_start
    from tidegate_registry.audit.keys import open_log_signer
    from tidegate_registry.background import work
    from tidegate_registry.settings_file import load_settings

    settings = load_settings(args.config)
    logs.configure()
    services = build_services(settings)
    with closing(services.db):
        open_log_signer(settings)  # a worker without it would have nothing to do
        check_start(services)
        asyncio.run(work(services))
    return EXIT_DONE


def _listen(host: str, port: int) -> socket.socket:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Conflict(
            f"cannot listen on {host}:{port}",
            code="port-taken",
            found=error.strerror,
            hint="choose another with --port or TIDEGATE_REGISTRY_LISTEN_PORT",
        ) from error


def _migrate(args: argparse.Namespace) -> int:
    from tidegate_registry import migrations
    from tidegate_registry.db import Db
    from tidegate_registry.settings_file import CONFIG_VARIABLE, SettingsInvalid, load_settings, variable_for

    settings = load_settings(args.config)
    if not (args.config or os.environ.get(CONFIG_VARIABLE) or "database_url" in settings.model_fields_set):
        # the default is a file in the folder one happens to be in: a schema made there would never be looked at
        raise SettingsInvalid(
            "nothing says which database to migrate",
            code="database-not-named",
            expected="a settings file, or the database's URL",
            hint=f"pass --config FILE, or set {CONFIG_VARIABLE} or {variable_for('database_url')}",
        )
    with closing(Db(settings.database_url.get_secret_value())) as db:
        migrations.upgrade(db)
    return EXIT_DONE


def _override(settings: Settings, args: argparse.Namespace) -> Settings:
    given = {"listen_host": args.host, "listen_port": args.port}
    return settings.model_copy(update={key: value for key, value in given.items() if value is not None})
