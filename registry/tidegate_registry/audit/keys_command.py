"""`tidegate-registry keys make-log-key | make-vsa-key | show`. Data to stdout, words to stderr."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tidegate.cli.outcome import EXIT_DONE
from tidegate.cli.output import Output

Verbs = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it
AddVerb = Callable[..., argparse.ArgumentParser]


def add_parsers(verbs: Verbs[argparse.ArgumentParser], add_verb: AddVerb) -> None:
    """Add the verbs. `add_verb` makes one that knows `--config`."""
    group = verbs.add_parser("keys", help="make and show the worker's keys", description="The keys of the worker.")
    inner = group.add_subparsers(metavar="VERB", required=True)
    log_key = add_verb(
        inner,
        "make-log-key",
        "make the key that signs checkpoints",
        "Make an Ed25519 key in FILE and print the verifier key (vkey) that trust files take. Replaces nothing.",
    )
    log_key.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new file; mode 600")
    log_key.add_argument("--origin", metavar="NAME", help="the log's name (default: of the settings)")
    log_key.set_defaults(run=_make_log_key)
    vsa_key = add_verb(
        inner,
        "make-vsa-key",
        "make the key that signs summaries of decisions",
        "Make an ECDSA P-256 key in FILE and print its public key, which trust files and other tools take.",
    )
    vsa_key.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new file; mode 600")
    vsa_key.set_defaults(run=_make_vsa_key)
    show = add_verb(
        inner, "show", "tell what others must trust", "Open the keys of the settings and print their public parts."
    )
    show.add_argument("--json", action="store_true", help="one JSON document")
    show.set_defaults(run=_show)


def _make_log_key(args: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tidegate_registry.audit.keys import log_signer, open_key
    from tidegate_registry.key_files import create_private_key
    from tidegate_registry.settings_file import load_settings

    origin = args.origin or load_settings(args.config).log_origin
    create_private_key(args.out, Ed25519PrivateKey.generate())
    Output().data(str(log_signer(origin, open_key(f"file:{args.out}", what="log key")).key))
    return EXIT_DONE


def _make_vsa_key(args: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    from tidegate_registry.audit.keys import open_key
    from tidegate_registry.key_files import create_private_key

    create_private_key(args.out, generate_private_key(SECP256R1()))
    Output().data(open_key(f"file:{args.out}", what="VSA key").public_pem.rstrip())
    return EXIT_DONE


def _show(args: argparse.Namespace) -> int:
    from tidegate_registry.audit.keys import open_log_signer, open_vsa_key
    from tidegate_registry.settings_file import load_settings

    settings, out = load_settings(args.config), Output(as_json=args.json)
    log_key = str(open_log_signer(settings).key)
    vsa_key = open_vsa_key(settings.vsa)
    if args.json:
        out.json({"log": {"key": log_key}, "vsa": {"key": vsa_key.public_pem, "verifier": settings.public_url}})
        return EXIT_DONE
    out.data(log_key)
    out.data(vsa_key.public_pem.rstrip())
    out.say(f"the first signs checkpoints, the second ({vsa_key.algorithm}) what {settings.public_url} decides")
    return EXIT_DONE
