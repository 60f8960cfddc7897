"""The spec page says what is so: its examples, its mistakes, its limits and its lists of members."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.client.policy.cel.library import judge, needs_library
from tests.documents import SPEC, json_example
from tidegate.errors import WhenInvalid
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, predicate_type
from tidegate.policy.cel.program import ITERATION_BUDGET, compile_when
from tidegate.policy.cel.schemas import RELEASE, SCHEMAS, FieldType, ListOf, MapOf, Message, Scalar
from tidegate.policy.requirements import MAX_EXPRESSION

PAGE: Final = (SPEC / "policy-conditions.md").read_text(encoding="utf-8")
VIEW: Final = json_example("policy-conditions")


def table(heading: str) -> list[list[str]]:
    """Give the rows of the last table below a heading, without its head."""
    section = re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.replace(r"\|", "\0") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("\0", "|") for cell in row.strip("|").split("|")] for row in rows][2:]


@needs_library
@pytest.mark.parametrize(("condition", "result"), table("Examples"))
def test_the_examples_come_out_as_the_page_says(condition: str, result: str) -> None:
    outcome = judge(condition.strip("`"), VIEW)
    if outcome.holds is None:
        assert outcome.reason is not None
        assert re.fullmatch(r"inconclusive: `(.+)`", result)[1] in {outcome.reason.code, outcome.reason.found[3:]}  # type: ignore[index]
    else:
        assert result == ("holds" if outcome.holds else "does not hold")


@needs_library
@pytest.mark.parametrize(("code", "condition", "hint"), table("Mistakes"))
def test_mistakes_are_refused_as_the_page_says(code: str, condition: str, hint: str) -> None:
    with pytest.raises(WhenInvalid) as refused:
        compile_when(condition.strip("`"), PREDICATE_EVALUATION, with_baseline=False)
    assert refused.value.reasons[0].code == code.strip("`")
    assert (refused.value.hint or "").startswith(hint)


def test_the_limits_are_those_of_the_page() -> None:
    limits = " ".join(cell for row in table("Limits") for cell in row)
    assert f"{MAX_EXPRESSION:,} characters" in limits
    assert f"fewer than {ITERATION_BUDGET:,}" in limits


def members(schema: Message | FieldType, at: str = "") -> Iterator[tuple[str, str]]:
    """Give each member with its type in words."""
    match schema:
        case Message(fields=fields):
            for name, kind in fields.items():
                path = f"{at}.{name}" if at else name
                yield path, named(kind)
                yield from members(kind, path)
        case ListOf(item=inside):
            yield from members(inside, f"{at}[]")
        case MapOf(value=inside):
            yield from members(inside, f"{at}[…]")


def named(kind: FieldType) -> str:
    match kind:
        case Scalar():
            return kind.value
        case Message():
            return "object"
        case ListOf(item=inside):
            return f"list of {inside.value}" if isinstance(inside, Scalar) else "list"
        case MapOf(value=inside):
            return f"map of {inside.value}" if isinstance(inside, Scalar) else "map"


def test_the_page_lists_every_member_of_every_view_with_its_type() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.partition("## What can be read")[2], flags=re.MULTILINE)
    listed = {
        predicate_type(name): {(path, kind) for kind, cell in table(heading) for path in re.findall("`(.+?)`", cell)}
        for heading in headings
        for name in heading.split(", ")
    }
    assert listed == {kind: set(members(schema)) for kind, schema in SCHEMAS.items()}


def test_the_page_names_the_members_of_release() -> None:
    (text,) = [row[1] for row in table("Variables") if row[0] == "`release`"]
    assert set(re.findall("`(.+?)`", text)) == set(RELEASE.fields)
