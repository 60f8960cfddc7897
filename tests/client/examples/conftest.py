"""Fixtures of the tests that run the example agent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.examples.agent_host import (
    BUNDLE,
    Host,
    StartHost,
)


@pytest.fixture
def start() -> Iterator[StartHost]:
    """Start the agent and wait for READY=1. `ready=False`: only start it. Other arguments go to its environment."""
    hosts: list[Host] = []
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:  # not tmp_path: a socket's path has 107 bytes at most

        def begin(
            *,
            bundle: Path = BUNDLE,
            state: Path | None = None,
            run: Path | None = None,
            ready: bool = True,
            **more: str,
        ) -> Host:
            run = run or Path(folder) / str(len(hosts))
            (run / "state").mkdir(parents=True, exist_ok=True)
            (run / "notify.sock").unlink(missing_ok=True)
            hosts.append(Host(run, bundle, state or run / "state", more))
            if ready:
                assert hosts[-1].notification() == "READY=1"
            return hosts[-1]

        yield begin
        for host in hosts:
            host.clean_up()


@pytest.fixture
def gated_bundle(tmp_path: Path) -> Path:
    """A copy of the agent whose order list is a FIFO: a lookup waits until the test has opened it and written."""
    bundle = tmp_path / "gated"
    shutil.copytree(BUNDLE, bundle)
    (bundle / "data" / "orders.json").unlink()
    os.mkfifo(bundle / "data" / "orders.json")
    return bundle
