"""`tidegate build`: make a bundle of an agent's folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json

if TYPE_CHECKING:
    from tidegate.bundle.build import Built, Overrides
    from tidegate.cli.output import Output
    from tidegate.formats.declarations import AllowedSecret

DEFAULT_OUT = Path(".tidegate") / "layout"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "build",
        help="make a bundle (an OCI image layout) of an agent's folder",
        description="Make a bundle of the folder with agent.yaml. The same input gives the same digest, on any machine "
        "and at any time; the digest is written to stdout.",
    )
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="the agent's folder (default: this one)")
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"the layout (default: FOLDER/{DEFAULT_OUT})")
    add_building(parser)
    parser.add_argument("--version", metavar="VERSION", help="version of the release, instead of the one in agent.yaml")
    parser.add_argument("--revision", metavar="COMMIT", help="commit the agent was built from, as an annotation")
    parser.add_argument("--source", metavar="URL", help="repository the agent was built from, as an annotation")
    add_json(parser)
    parser.set_defaults(run=run)


def add_building(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that builds."""
    parser.add_argument(
        "--copy",
        action="store_true",
        help="copy weights into the layout; else they are shared with it (a clone or a hard link) where possible, "
        "and must not be written to in place",
    )
    parser.add_argument(
        "--allow-secret",
        action="append",
        default=[],
        metavar="PATH=REASON",
        help="a file that may hold what looks like a secret; the reason is recorded in the bundle",
    )


def allowed_secrets(args: argparse.Namespace) -> tuple[AllowedSecret, ...]:
    """Read `--allow-secret`. Raises InvalidInput."""
    from pydantic import ValidationError

    from tidegate.errors import InvalidInput
    from tidegate.formats.declarations import AllowedSecret

    allowed = []
    for given in args.allow_secret:
        path, _, reason = given.partition("=")
        try:
            allowed.append(AllowedSecret(path=path, reason=reason.strip()))
        except ValidationError as error:
            raise InvalidInput(
                "that does not say which file may hold a secret, and why",
                code="allow-secret-invalid",
                found=given[:160],
                expected="PATH=REASON, such as tests/key.pem='made for the tests'",
            ) from error
    return tuple(allowed)


def run(args: argparse.Namespace, out: Output) -> int:
    """Build, and say what came out."""
    from tidegate.bundle.build import Overrides

    overrides = Overrides(
        version=args.version, revision=args.revision, source=args.source, allowed_secrets=allowed_secrets(args)
    )
    target = args.out or args.folder / DEFAULT_OUT
    built = build_with_progress(args.folder, target, out, overrides=overrides, copy=args.copy)
    out.step("Layout", str(target))
    if args.json:
        out.json(_as_json(built))
    else:
        out.data(built.manifest.digest)
    return 0


def build_with_progress(
    folder: Path, target: Path, out: Output, *, overrides: Overrides | None = None, copy: bool = False
) -> Built:
    """Build the agent in `folder` into the layout `target`, with progress, the outcome and warnings on stderr."""
    from tidegate.bundle.build import Overrides, build

    built = build(
        folder,
        target,
        overrides=overrides or Overrides(),
        progress=lambda total: out.progress(total, "Building"),
        link=not copy,
    )
    config = built.config
    size = sum(component.size for component in config.components)
    out.step(
        "Built",
        f"{config.name}:{config.version}: {len(config.files)} files, {len(config.components)} layers, {size:,} bytes",
    )
    out.step("Behaviour", config.behaviour)
    for warning in built.warnings:
        out.say(f"{out.paint('warning:', 1, 33)} {warning}")
    return built


def _as_json(built: Built) -> dict[str, object]:
    config = built.config
    return {
        "name": config.name,
        "version": config.version,
        "digest": str(built.manifest.digest),
        "behaviour": str(config.behaviour),
        "layout": str(built.layout.path),
        "files": len(config.files),
        "size": sum(component.size for component in config.components),
        "unpinned": [{"id": model.id, "reason": model.unpinned} for model in config.unpinned],
        "allowedSecrets": [{"path": each.path, "reason": each.reason} for each in config.allowed_secrets],
        "warnings": list(built.warnings),
    }
