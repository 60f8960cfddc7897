"""Someone searches the audit log with text that means something to a database, without the right, or with a cursor of
their own making.

A compressed bomb has nowhere to go off: the routes of the log take no body, and what the registry itself compresses is
sent, never expanded.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.audit.logged import Logged
from tests.registry.world import World
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.rights import AccessRules

SEARCH = "/api/v1/log/entries"
HOSTILE = [
    "' OR '1'='1",
    "x'; DROP TABLE audit_event; --",
    '"unbalanced',
    "secret AND NOT secret",
    "secret NEAR(word, 2)",
    "terms: secret",
    "secret*",
    "^secret",
    "- secret",
    "(secret",
    "secret & !other",
    "secret | other",
    "secret:*",
    "<-> secret",
    "\\'secret",
    "%",
    "_____",
    "\u0000",
    "\ud7ff\U0010ffff",
    "{secret}",
    "$1",
    ":query",
    "%(query)s",
]


@pytest.fixture
def log(world: World) -> Iterator[World]:
    """A log with one secret, which anybody here may search for."""
    logged = Logged(world.services.db)
    logged.moved("acme/support-agent", reason="the secret word")
    logged.moved("acme/other-agent", by="erin")
    logged.integrate()
    access = world.services.access
    assert isinstance(access, Gatekeeper)
    before, access.rules = access.rules, AccessRules(public_log=True)
    yield world
    access.rules = before


@pytest.mark.parametrize("parameter", ["q", "agent", "actor", "type", "digest", "decision", "since", "after"])
def test_no_text_is_more_than_a_text_to_search_for(log: World, parameter: str) -> None:
    client = log.client(None)
    for hostile in HOSTILE:
        answer = client.get(SEARCH, params={parameter: hostile})
        assert answer.status_code in (200, 400, 422), (hostile, answer.text)
        if answer.status_code == 200:
            found = [item["entry"]["data"]["repository"] for item in answer.json()["items"]]
            words = parameter == "q" and hostile.strip("*^-(\\'{}<>|: ") == "secret"
            assert found == (["acme/support-agent"] if words else []), hostile
    assert len(client.get(SEARCH).json()["items"]) == 2, "and the log is still there"


def test_nobody_without_the_right_learns_what_there_is(world: World) -> None:
    logged = Logged(world.services.db)
    known = logged.moved(reason="the secret word")
    logged.integrate()
    asked = [
        f"{SEARCH}?q=secret",
        f"{SEARCH}?q=nothing",
        f"{SEARCH}?after=1",
        f"{SEARCH}/0",
        f"{SEARCH}/9",
        f"{SEARCH}/{known}",
        f"{SEARCH}/0190d7c0-0000-7000-8000-000000000000",
    ]
    for client, status in ((world.client(None), 401), (world.client(), 403)):
        answers = [client.get(path) for path in asked]
        assert {answer.status_code for answer in answers} == {status}
        assert len({answer.json()["detail"] for answer in answers}) == 1, "the same words for all"


def test_a_made_up_cursor_shows_nothing_that_a_page_would_not(log: World) -> None:
    client = log.client(None)
    for cursor in (
        "-1",
        "1e3",
        "0x1",
        "1;",
        "\N{FULLWIDTH DIGIT NINE}",
        "1" * 19,
        "999999999999999999999999",
        "null",
        "1 ",
    ):
        answer = client.get(SEARCH, params={"after": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor-invalid"), cursor
    for cursor, expected in (("0", []), ("1", [0]), ("999999999999999999", [1, 0])):
        items = client.get(SEARCH, params={"after": cursor, "agent": "acme/*"}).json()["items"]
        assert [item["index"] for item in items] == expected, cursor


def test_what_is_asked_for_is_bounded(log: World) -> None:
    client = log.client(None)
    for parameters in (
        {"q": "a" * 601},
        {"type": ["a.b"] * 17},
        {"limit": "201"},
        {"limit": "0"},
        {"agent": "a" * 256},
        {"decision": "a" * 65},
    ):
        assert client.get(SEARCH, params=parameters).status_code == 422, parameters
    assert client.get(SEARCH, params={"q": " ".join(f"w{number}" for number in range(17))}).status_code == 400
