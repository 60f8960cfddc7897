"""All decisions of a log: entries in the order of the log, decisions to as many processes as there are processors."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from multiprocessing import get_context
from typing import Final

from tidegate.auditor.replay.evidence import Bench
from tidegate.auditor.replay.one import replay
from tidegate.auditor.replay.outcome import Replayed, State, Summary
from tidegate.auditor.replay.state import DECISIONS, READ, SLACK, TRUST, Context, LogState, type_of
from tidegate.auditor.replay.task import Task, gather
from tidegate.auditor.source import LogSource
from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, EntryInvalid
from tidegate.formats.charter import Charter
from tidegate.formats.entry import Entry, parse_entry
from tidegate.verify.trust import Root, Trust

DECISIONS_FOR_PROCESSES: Final = 24  # below, starting processes takes longer than they save
MAX_PROCESSES: Final = 8
THREADS: Final = 8  # that fetch, as many as the HTTP client has connections
WINDOW: Final = 32  # decisions on their way at once: what they name is in memory

Wanted = Callable[[Entry], bool]
"""Says of an entry whether it is to be looked at; what is not is only remembered."""


@dataclass(slots=True)
class Held:
    """A decision that waits until the log would have told of a change of trust."""

    entry: Entry
    context: Context


def replay_log(
    entries: Iterable[tuple[int, bytes]],
    source: LogSource,
    *,
    wanted: Wanted = lambda _: True,
    today: Trust | None = None,
    processes: int | None = None,
    tell: Callable[[Replayed], object] = lambda _: None,
) -> Summary:
    """Replay the decisions among `entries`, which are all of a verified log from its first, with their indices.

    `source`: where what they name is. `today`: the auditor's own trust, to say what would come out otherwise.
    `processes`: None for as many as there are processors. `tell`: told of each result, in about the order of the log.
    Raises what the source raises.
    """
    summary = Summary()
    for found in _results(_walk(entries, wanted), source, today, processes or min(os.cpu_count() or 1, MAX_PROCESSES)):
        summary.add(found, is_decision=found.type in DECISIONS)
        tell(found)
    return summary


def _walk(entries: Iterable[tuple[int, bytes]], wanted: Wanted) -> Iterator[Held | Replayed]:
    """Follow the log: give each decision with what was so when it was made, and each change that followed from none."""
    state, held, latest = LogState(), deque[Held](), datetime.min.replace(tzinfo=UTC)
    for index, raw in entries:
        kind = type_of(raw)
        if kind and kind not in READ:
            continue
        try:
            entry = parse_entry(raw, index=index)
        except EntryInvalid as error:  # nothing is passed over: it may have been meant to be
            yield Replayed(index, "", kind, latest, "no entry", "done", State.DIFFERING, error.reasons)
            continue
        latest = entry.at
        if entry.type in DECISIONS and wanted(entry):
            held.append(Held(entry, state.context(entry)))
        reasons = state.take(entry)
        if reasons and wanted(entry):
            yield Replayed(index, entry.id, entry.type, entry.at, _about(entry), "done", State.DIFFERING, reasons)
        if entry.type == TRUST:
            _tell_late(held, entry)
        while held and entry.at > held[0].entry.at + SLACK:
            yield held.popleft()
    yield from held


def _tell_late(held: Iterable[Held], changed: Entry) -> None:
    """A replica tells of trust a moment after it is in force: decisions of that moment may rest on it already."""
    try:
        digest = Digest.parse(str(changed.data.get("digest")))
    except DigestInvalid:
        return
    for each in held:
        if changed.at <= each.entry.at + SLACK:
            each.context = replace(each.context, trusts=(*each.context.trusts, digest))


def _about(entry: Entry) -> str:
    named = (entry.data.get(name) for name in ("repository", "channel", "version"))
    return " ".join(each for each in named if isinstance(each, str))


def _results(
    found: Iterator[Held | Replayed], source: LogSource, today: Trust | None, processes: int
) -> Iterator[Replayed]:
    first = list(islice(found, DECISIONS_FOR_PROCESSES))
    if processes == 1 or len(first) < DECISIONS_FOR_PROCESSES:
        bench = Bench(today)
        for each in chain(first, found):
            yield each if isinstance(each, Replayed) else replay(gather(each.entry, each.context, source), bench)
        return
    # not forked: a fork of a process with threads may hang
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, _parts(today))
    threads = ThreadPoolExecutor(THREADS)
    try:
        yield from _in_order(chain(first, found), lambda each: pool.submit(_replay, each).result(), source, threads)
    finally:
        threads.shutdown(cancel_futures=True)
        pool.shutdown(cancel_futures=True)


def _in_order(
    found: Iterator[Held | Replayed],
    decide: Callable[[Task], Replayed],
    source: LogSource,
    threads: ThreadPoolExecutor,
) -> Iterator[Replayed]:
    """Give results as they were asked for; at most WINDOW decisions are on their way."""
    waiting = deque[Future[Replayed] | Replayed]()
    for each in found:
        if isinstance(each, Replayed):
            waiting.append(each)
        else:
            waiting.append(threads.submit(lambda held: decide(gather(held.entry, held.context, source)), each))
        if len(waiting) >= WINDOW:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(each: Future[Replayed] | Replayed) -> Replayed:
    return each if isinstance(each, Replayed) else each.result()


Parts = tuple[tuple[tuple[str, bytes, bool], ...], tuple[Charter, ...]]
_benches: list[Bench] = []  # the one of this process, once it was started as a worker


def _parts(today: Trust | None) -> tuple[Parts | None]:
    """Take a trust apart for another process: what verifiers hold cannot go there."""
    if today is None:
        return (None,)
    return ((tuple((root.name, root.raw, root.sandbox) for root in today.roots), tuple(today.charters)),)


def _start(parts: Parts | None) -> None:
    """Begin in a new process, which leaves Ctrl-C to the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    today = None
    if parts is not None:
        roots = [Root(name, raw, sandbox=sandbox) for name, raw, sandbox in parts[0]]
        today = Trust.from_parts(roots, parts[1], allow_sandbox=True)
    _benches.append(Bench(today))


def _replay(task: Task) -> Replayed:
    return replay(task, _benches[0])
