"""`tidegate-registry fsck | gc | restore`. Data to stdout, words to stderr; `--json` gives one document."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.outcome import EXIT_DONE, EXIT_REFUSED
from tidegate.cli.output import Output
from tidegate_registry.operating import opened, operator

if TYPE_CHECKING:
    from tidegate.bundle.layout import Layout
    from tidegate_registry.keeping.fsck.findings import Finding
    from tidegate_registry.keeping.fsck.run import Checked
    from tidegate_registry.keeping.plan import Named
    from tidegate_registry.keeping.sweep import Doomed
    from tidegate_registry.services import Services

Verbs = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it
AddVerb = Callable[..., argparse.ArgumentParser]
MAX_SHOWN = 1000  # findings in words; `--json` gives all


def add_parsers(verbs: Verbs[argparse.ArgumentParser], add_verb: AddVerb) -> None:
    """Add the verbs of this room. `add_verb` makes one that knows `--config`."""
    fsck = add_verb(
        verbs,
        "fsck",
        "compare the database with the store",
        "Compare rows with objects, both ways, and each with itself. Changes nothing unless told to.",
    )
    fsck.add_argument("--rehash", action="store_true", help="read every object and hash it, too")
    fsck.add_argument("--repair", action="store_true", help="put right what the registry can prove; removes nothing")
    fsck.add_argument(
        "--restore-from",
        type=Path,
        metavar="LAYOUT",
        help="put lost or altered bytes back from an OCI layout, or an archive of one",
    )
    fsck.add_argument("--json", action="store_true", help="one JSON document")
    fsck.set_defaults(run=_fsck)
    gc = add_verb(
        verbs,
        "gc",
        "remove what nobody needs any more",
        "List what no release, tag or upload needs, with the reason; with --apply, remove it.",
    )
    gc.add_argument("--apply", action="store_true", help="remove it; without, nothing is changed")
    gc.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="AGENT@DIGEST",
        help="a manifest in quarantine that need not wait until its time is over; repeatable",
    )
    gc.add_argument("--json", action="store_true", help="one JSON document")
    gc.set_defaults(run=_gc)
    restore = add_verb(
        verbs,
        "restore",
        "bring an old database up to the published log",
        "Put back the entries that the database lacks, from the log's own files, and what they say was done. For a "
        "database that was restored from a dump. No registry may run on it meanwhile.",
    )
    restore.add_argument("--json", action="store_true", help="one JSON document")
    restore.set_defaults(run=_restore)


def _fsck(args: argparse.Namespace) -> int:
    from tidegate.bundle.layout import Layout
    from tidegate_registry.keeping.fsck.objects import total_bytes
    from tidegate_registry.keeping.fsck.run import check

    out = Output(as_json=args.json)
    layout = Layout.open(args.restore_from) if args.restore_from is not None else None  # a check may take hours
    with opened(args) as app:
        with out.progress(total_bytes(app), "hashing" if args.rehash else "checking") as bar:
            checked = check(app, rehash=args.rehash, advance=bar.advance)
        if not args.json:
            _tell(checked, out)
        _put_right(args, app, checked, layout, out)
    if args.json:
        out.json(
            {
                "counts": checked.counts,
                "rehashed": checked.rehashed,
                "problems": [finding.as_json() for finding in checked.findings if not finding.is_note],
                "notes": [finding.as_json() for finding in checked.findings if finding.is_note],
                "clean": not checked.problems,
            }
        )
    return EXIT_REFUSED if checked.problems else EXIT_DONE


def _tell(checked: Checked, out: Output) -> None:
    for finding in checked.findings[:MAX_SHOWN]:
        out.data(line_of(finding))
        for release in finding.breaks:
            out.data(f"    breaks {release}")
    if len(checked.findings) > MAX_SHOWN:
        out.say(f"and {len(checked.findings) - MAX_SHOWN} more: --json gives all")
    counted = ", ".join(f"{count} {name}" for name, count in checked.counts.items())
    notes = sum(finding.is_note for finding in checked.findings)
    read = "every object read and hashed" if checked.rehashed else "sizes and checksums as the store tells them"
    out.say(f"{counted}; {read}")
    out.say(f"{len(checked.problems)} problems, {notes} notes (objects that garbage collection takes)")


def line_of(finding: Finding) -> str:
    """Write a finding as one line."""
    differs = f": {finding.found}" if finding.found else ""
    expected = f", not {finding.expected}" if finding.expected else ""
    kind = "note" if finding.is_note else "problem"
    return f"{kind} {finding.problem} {finding.where} {finding.digest}{differs}{expected}".rstrip()


def _put_right(args: argparse.Namespace, app: Services, checked: Checked, layout: Layout | None, out: Output) -> None:
    from tidegate_registry.keeping.fsck.findings import REPAIRS
    from tidegate_registry.keeping.fsck.repair import repair
    from tidegate_registry.keeping.fsck.restore import restore

    actor = operator()
    if layout is not None:
        for finding in checked.problems:
            if restore(app, actor, finding, layout):
                out.step("Restored", f"{finding.where} {finding.digest}")
    possible = [finding for finding in checked.problems if finding.problem in REPAIRS]
    for finding in possible:
        out.say(f"{'will' if args.repair else '--repair would'} {REPAIRS[finding.problem]}: {line_of(finding)}")
    if args.repair:
        for finding in possible:
            if repair(app, actor, finding):
                out.step("Repaired", f"{finding.where} {finding.digest}: {finding.done}")
    left = checked.problems
    if left and (args.repair or layout is not None):
        out.say(f"{len(left)} problems are left")
        for finding in left[:MAX_SHOWN]:
            out.say(f"  {line_of(finding)}")


def _gc(args: argparse.Namespace) -> int:
    from tidegate_registry.keeping.plan import DoomedManifest, check_named, plan_blobs, plan_manifests
    from tidegate_registry.keeping.sweep import Sweep, check_may_collect

    out, counts, listed = Output(as_json=args.json), dict.fromkeys(("manifests", "blobs", "bytes"), 0), []

    def tell(each: Doomed) -> None:
        counts["manifests" if isinstance(each, DoomedManifest) else "blobs"] += 1
        counts["bytes"] += each.size
        if args.json:
            listed.append(each.as_json())
        else:
            out.data(f"{each.name} {each.size} bytes: {each.why}")

    with opened(args) as app:
        forget = [_named(text) for text in args.forget]
        if not args.apply:
            check_may_collect(app)  # what would go, were it not refused, is no answer
        manifests = list(plan_manifests(app, forget))
        needed = check_named(manifests, forget)
        for name in needed:
            out.say(f"stays: {name.repository}@{name.digest} is not there, in use, or something needs it")
        if args.apply:
            Sweep(app, operator(), forget=forget, tell=tell).run()
        else:
            for manifest in manifests:
                tell(manifest)
            for blob in plan_blobs(app, manifests):
                tell(blob)
        if days := app.settings.s3.object_lock_days:
            out.say(f"blobs younger than {days} days stay: the bucket keeps them locked")
    counted = f"{counts['manifests']} manifests and {counts['blobs']} blobs, {counts['bytes']} bytes"
    out.say(f"{counted}, removed" if args.apply else f"{counted}, would go; nothing was changed: --apply removes it")
    if args.json:
        stays = [f"{each.repository}@{each.digest}" for each in needed]
        out.json({"applied": args.apply, **counts, "removed": listed, "stays": stays})
    return EXIT_REFUSED if needed else EXIT_DONE


def _restore(args: argparse.Namespace) -> int:
    from tidegate_registry.audit.keys import open_log_signer
    from tidegate_registry.keeping.restoring import MAX_LACKING, published_size, restore

    out = Output(as_json=args.json)
    with opened(args, behind=True) as app:
        key = open_log_signer(app.settings).key
        with out.progress(2 * published_size(app), "reading the log") as bar:
            done = restore(app, operator(), key, advance=bar.advance)
    if args.json:
        out.json(done.as_json())
        return EXIT_REFUSED if done.lacking_count else EXIT_DONE
    for sentence in done.lacking:
        out.data(f"lost: {sentence}")
    if done.lacking_count > MAX_LACKING:
        out.say(f"and {done.lacking_count - MAX_LACKING} more, in the registry's log")
    for entry in done.corrected:
        out.data(f"altered: entry {entry} had other bytes here than in the log; it has the log's again")
    if not done.changed:
        out.say(f"nothing was missing: the database knows all {done.size} entries")
        return EXIT_DONE
    out.say(
        f"the log has {done.size} entries: {done.imported} were put back, {done.placed} got another index, "
        f"{done.displaced} come later now, {done.written} files were written again"
    )
    if done.lacking_count:
        out.say(f"{done.lacking_count} things that entries tell of are lost, see above; run `tidegate-registry fsck`")
    return EXIT_REFUSED if done.lacking_count else EXIT_DONE


def _named(text: str) -> Named:
    from tidegate.digest import Digest
    from tidegate_registry.artifacts.names import parse_repository
    from tidegate_registry.keeping.plan import Named

    agent, _, digest = text.partition("@")
    return Named(parse_repository(agent), Digest.parse(digest))
