"""A worker in a process of its own, forked from one that has imported everything: fifty starts would take minutes."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import closing
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from tidegate_registry.app import build_services
from tidegate_registry.background import work
from tidegate_registry.settings import Settings


def run_worker(settings: Settings) -> None:
    """Do what `tidegate-registry worker` does once it has started."""
    app = build_services(settings)
    with closing(app.db):
        asyncio.run(work(app))


def forking() -> ForkServerContext:
    """Make a context whose processes have this module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def start_worker(context: ForkServerContext, settings: Settings) -> BaseProcess:
    process = context.Process(target=run_worker, args=(settings,), daemon=True)
    process.start()
    return process
