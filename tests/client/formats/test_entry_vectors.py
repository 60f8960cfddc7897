"""The entries in tests/vectors/entries: each type is read and fits its schema, and what is none is refused for why."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tidegate.errors import EntryInvalid
from tidegate.formats.entry import EntryType, parse_entry
from tidegate.formats.jcs import JsonValue, parse_object

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "vectors" / "entries"
GOOD = sorted(path for path in FOLDER.glob("*.json") if "_" not in path.stem and path.stem != "reasons")
BAD = sorted(FOLDER.glob("*_fail.json"))
SCHEMA = parse_object((ROOT / "docs/spec/log-entry.schema.json").read_bytes(), limit=1 << 20, what="the schema")
REASONS = parse_object((FOLDER / "reasons.json").read_bytes(), limit=1 << 16, what="the reasons")


def fits(document: JsonValue) -> bool:
    return Draft202012Validator(SCHEMA).is_valid(document)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_an_entry_of_each_type_is_read_and_fits_the_schema(path: Path) -> None:
    raw = path.read_bytes()
    entry = parse_entry(raw)
    assert entry.type == path.stem
    assert fits(parse_object(raw, limit=len(raw), what="the entry"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_is_no_entry_is_refused_for_its_reason(path: Path) -> None:
    raw, reason = path.read_bytes(), REASONS[path.stem.removesuffix("_fail")]
    assert isinstance(reason, dict)
    if reason["code"] == "schema":
        assert parse_entry(raw).raw is raw  # a reader who does not know better
        assert not fits(parse_object(raw, limit=len(raw), what="the entry"))
        return
    with pytest.raises(EntryInvalid) as caught:
        parse_entry(raw)
    assert caught.value.reasons[0].code == reason["code"]


def test_there_is_one_for_every_type_that_the_client_knows_by_name() -> None:
    assert {str(each) for each in EntryType} <= {path.stem for path in GOOD}
    assert len(BAD) == len(REASONS) > 10
