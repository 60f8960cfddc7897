"""What the operator's commands share: the registry's services without a server, and who runs the command."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.services import Services


@contextmanager
def opened(args: argparse.Namespace, *, behind: bool = False) -> Iterator[Services]:
    """Give the services of the settings that `--config` names. Raises SchemaDiffers.

    They write nothing while the database is older than the published log, unless it may be `behind`.
    """
    from tidegate_registry import migrations
    from tidegate_registry.app import build_services
    from tidegate_registry.audit.halt import hold_while_ahead
    from tidegate_registry.settings_file import load_settings

    app = build_services(load_settings(args.config))
    try:
        migrations.check(app.db)
        if not behind:
            hold_while_ahead(app)
        yield app
    finally:
        app.db.close()


def operator() -> Actor:
    """Name who runs a command: the machine's word, as there is no credential."""
    from tidegate_registry.audit.events import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(kind="operator", issuer="", name=name)
