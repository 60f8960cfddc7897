"""Which manifests stay: what is needed, what it reaches, and what is in time."""

from __future__ import annotations

from datetime import timedelta

from tests.registry.world import T0
from tidegate_registry.keeping.closure import Node, Terms, decide_removals, parents_first

TERMS = Terms(quarantine=timedelta(hours=720), orphan=timedelta(hours=168))
OLD, YOUNG = T0 - timedelta(hours=721), T0 - timedelta(hours=1)


def nodes(*given: Node) -> dict[str, Node]:
    return {node.digest: node for node in given}


def node(digest: str, *members: str, subject: str | None = None, released: bool = False, since: object = OLD) -> Node:
    assert since in (OLD, YOUNG, LATE)
    return Node(digest, subject, released, 100, since, set(members))  # type: ignore[arg-type]


LATE = T0 - timedelta(hours=200)  # too late for an orphan, in time for quarantine


def removed(
    given: dict[str, Node], *, roots: tuple[str, ...] = (), in_use: tuple[str, ...] = (), forget: tuple[str, ...] = ()
) -> set[str]:
    return set(decide_removals(given, roots, in_use=in_use, terms=TERMS, forget=forget, now=T0))


def test_a_root_keeps_its_members_its_subject_and_whatever_refers_to_them() -> None:
    given = nodes(
        node("index", "member", subject="about"),
        node("member", "deep"),
        node("deep"),
        node("about"),
        node("signature", subject="deep"),
        node("countersignature", subject="signature"),
        node("other"),
    )
    assert removed(given, roots=("index",)) == {"other"}
    assert removed(given) == set(given)


def test_what_is_released_in_use_or_in_time_stays_with_all_it_reaches() -> None:
    assert removed(nodes(node("index", "member", released=True), node("member"))) == set()
    assert removed(nodes(node("index", "member"), node("member")), in_use=("index",)) == set()
    assert removed(nodes(node("old"), node("signature", subject="old", since=YOUNG))) == set()


def test_a_referrer_whose_subject_never_came_goes_sooner_and_with_its_siblings_only() -> None:
    first = node("first", subject="missing", since=LATE)
    assert removed(nodes(first)) == {"first"}
    assert removed(nodes(first, node("second", subject="missing", since=YOUNG))) == set()
    assert removed(nodes(node("waits", since=LATE))) == set()


def test_what_an_operator_names_goes_before_its_time_unless_it_is_needed() -> None:
    young = nodes(node("index", "member", since=YOUNG), node("member", since=YOUNG))
    assert removed(young, forget=("index",)) == {"index"}
    assert removed(young, forget=("member",)) == set()
    assert removed(young, forget=("index",), roots=("index",)) == set()
    assert removed(young, forget=("index",), in_use=("index",)) == set()


def test_what_names_others_goes_before_them() -> None:
    given = nodes(node("a"), node("b", "a", "c"), node("c", "d"), node("d"), node("e", "d", "kept"), node("kept"))
    ordered = parents_first(given, ["a", "b", "c", "d", "e"])
    assert sorted(ordered) == ["a", "b", "c", "d", "e"]
    for digest in ordered:
        for member in given[digest].members & set(ordered):
            assert ordered.index(digest) < ordered.index(member)
