"""The audit log: verified from its files, a proof without a network, a changed row found, decisions made again."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from scripts.demo_promotion import person
from scripts.demo_stage import AGENT, DemoFailed, Stage
from tidegate.formats.jcs import parse_object

CHANNEL_MOVED = "channel.moved"


def log(stage: Stage) -> None:
    """The security team proves what was done, by whom and why, from static files, and believes nobody."""
    person(stage, "dave", "log", "verify")
    moved = _first_moved(stage)
    stage.tell("\nOne entry, with a proof that needs neither registry nor network:")
    person(stage, "dave", "log", "show", moved, head=6, tail=0)
    person(stage, "dave", "log", "prove", moved, "--out", "moved.proof")
    person(stage, "dave", "log", "check", "moved.proof")
    stage.tell("\nEvery decision so far is made again from what it rested on, its evidence verified once more:")
    person(stage, "dave", "log", "replay")
    person(stage, "dave", "trace", f"{AGENT}:1.2.0", head=24, tail=0)
    stage.tell("\nSomebody who can write to the database has the log say that another release was promoted:")
    _tamper(stage)
    person(stage, "dave", "log", "show", moved, head=6, tail=0)
    stage.tell("The published entry has not changed, and the operator finds the row:")
    stage.run("tidegate-registry", "fsck", "--config", stage.sandbox_dir / "registry.yaml", expect=1, tail=4)


def _first_moved(stage: Stage) -> str:
    raw = person(stage, "dave", "log", "tail", "-n", "1", "--type", CHANNEL_MOVED, "--json", quiet=True).stdout
    index = parse_object(raw.strip().encode(), limit=1 << 20, what="an entry")["index"]
    if not isinstance(index, int):
        raise DemoFailed(f"no entry of type {CHANNEL_MOVED} with an index")
    return str(index)


def _tamper(stage: Stage) -> None:
    file = next(stage.sandbox_dir.glob("**/*.db"))
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE audit_event SET body = CAST(REPLACE(CAST(body AS TEXT), '1.2.0', '6.6.6') AS BLOB) WHERE type = ?",
            (CHANNEL_MOVED,),
        )
