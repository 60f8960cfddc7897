"""Fixtures for all tests. Sockets are off except loopback and warnings are errors (pyproject.toml)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("tidegate", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidegate")

# The client's tests also run where only the client is installed; the rest needs the registry and its sandbox.
if find_spec("tidegate_registry") and find_spec("tests.fixtures_sandbox"):
    pytest_plugins = [
        "tests.fixtures_sandbox",
        "tests.registry.fixtures",
        "tests.registry.admission.fixtures",
        "tests.registry.promotion.fixtures",
    ]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test process; skipped where its programs are not installed."""
    from tests.postgres import find_binaries, running_postgres

    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's programs are not installed (on Debian: apt install postgresql)")
    with running_postgres(binaries) as server:
        yield server.url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[str]:
    """The URL of an empty database of this test: SQLite, or PostgreSQL when TIDEGATE_TEST_DATABASE says so."""
    if os.environ.get("TIDEGATE_TEST_DATABASE") != "postgresql":
        yield f"sqlite:///{tmp_path}/registry.db"
        return
    from tests.postgres import empty_database

    with empty_database(request.getfixturevalue("postgres_server")) as url:
        yield url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested, and why: a line for each reason, however many tests it skipped."""
    skipped = (report.longrepr for report in terminalreporter.stats.get("skipped", ()))
    reasons = {longrepr[2].removeprefix("Skipped: ") for longrepr in skipped if isinstance(longrepr, tuple)}
    for reason in sorted(reasons):
        terminalreporter.write_line(f"skipped: {reason}")
