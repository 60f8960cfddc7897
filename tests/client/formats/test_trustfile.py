"""trust.yaml and its published schemas say the same as the parser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tidegate.errors import TrustFileInvalid
from tidegate.formats.charter import Charter
from tidegate.formats.trustfile import CharterFile, TrustFile, parse_charter, parse_trust_file
from tidegate.formats.yamldoc import parse_yaml

SPEC = Path(__file__).parents[3] / "docs" / "spec"
RULE = {"name": "release", "root": "main", "issuer": "https://issuer.example", "identity": "bob@acme.example"}
CHARTER: dict[str, Any] = {"agent": "acme/agent", "publishers": [RULE]}


def example(page: str) -> bytes:
    found = re.search(r"```yaml\n(.*?)```", (SPEC / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found is not None
    return found[1].encode()


def schema(name: str) -> Any:
    return json.loads((SPEC / name).read_text(encoding="utf-8"))  # noqa: TID251 - our own


def test_the_example_in_the_page_is_a_trust_file() -> None:
    trust_file, document = parse_trust_file(example("trust-file.md"), name="trust-file.md")
    assert list(trust_file.roots) == ["public-good", "company"]
    first, second = trust_file.charters
    assert isinstance(first, CharterFile)
    assert isinstance(second, Charter)
    assert document.line_of(("charters", 1, "agent")) == 7


@pytest.mark.parametrize(
    ("page", "name"), [("trust-file.md", "trust.schema.json"), ("charter.md", "charter.schema.json")]
)
def test_the_published_schema_takes_the_example(page: str, name: str) -> None:
    published = schema(name)
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(parse_yaml(example(page), limit=1 << 20, name=page).value, published)


@pytest.mark.parametrize(
    "charter",
    [
        CHARTER | {"agnt": 1},
        CHARTER | {"publishers": []},
        CHARTER | {"publishers": [RULE | {"workflow": "https://x", "refs": ["refs/tags/v*"]}]},
        CHARTER | {"publishers": [{key: value for key, value in RULE.items() if key != "identity"}]},
        CHARTER | {"publishers": [RULE | {"claims": {"nonsense": "1"}}]},
        CHARTER | {"builders": {"https://x": 4}},
        CHARTER | {"floor": {"ref": "tag"}},
        CHARTER | {"format": "tidegate/charter/v2"},
        CHARTER | {"version": 0},
    ],
    ids=range(9),
)
def test_parser_and_published_schema_refuse_the_same(charter: dict[str, Any]) -> None:
    jsonschema.validate(CHARTER, schema("charter.schema.json"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(charter, schema("charter.schema.json"))
    with pytest.raises(TrustFileInvalid) as refused:
        parse_charter(json.dumps(charter).encode(), name="charter.json")
    assert refused.value.reasons[0].code == "trust-file-invalid"


def test_a_charter_in_a_trust_file_is_told_by_its_place_there() -> None:
    text = json.dumps({"roots": {"main": {"file": "x"}}, "charters": [CHARTER, CHARTER | {"agnt": 1}]}, indent=1)
    with pytest.raises(TrustFileInvalid, match=r"^trust.yaml:\d+: charters\[1\].agnt: is not a key here") as refused:
        parse_trust_file(text.encode(), name="trust.yaml")
    assert refused.value.hint == "write agent"


def test_a_trust_file_without_charters_is_one() -> None:
    assert parse_trust_file(b"roots: {main: {file: x}}", name="t")[0].charters == ()


def test_what_is_written_can_be_read_again() -> None:
    charter = parse_charter(example("charter.md"), name="charter.md")
    written = charter.model_dump_json(by_alias=True)
    assert parse_charter(written.encode(), name="again") == charter
    assert parse_charter(written.encode(), name="again").digest == charter.digest
    assert TrustFile.model_json_schema(by_alias=True)["additionalProperties"] is False


LOG = {"key": "acme.example/log+b6835c47+AVTTpBNirYpKp/D9IPvdXHH/i8Mut0xPf6oU/WxqmlcN"}
WITNESS = "witness.example/w1+85f2bb93+BBIxkVHpjRp+xtHU4pxjWW9N1oVCnZu6PT2rnLBJRkUG"


@pytest.mark.parametrize(
    "log",
    [
        {},
        {"key": "not a key"},
        LOG | {"keys": []},
        LOG | {"witnesses": {"need": 0, "of": [WITNESS]}},
        LOG | {"witnesses": {"need": 1, "of": []}},
        LOG | {"witnesses": {"need": 2, "of": [WITNESS, WITNESS]}},
    ],
    ids=range(6),
)
def test_a_log_section_that_says_less_than_it_seems_to_is_refused(log: dict[str, Any]) -> None:
    whole = {"roots": {"main": {"file": "x"}}, "log": LOG | {"witnesses": {"need": 1, "of": [WITNESS]}}}
    assert parse_trust_file(json.dumps(whole).encode(), name="trust.yaml")[0].log is not None
    with pytest.raises(TrustFileInvalid, match=r"^trust.yaml:\d+: log"):
        parse_trust_file(json.dumps(whole | {"log": log}).encode(), name="trust.yaml")


VSA = {"name": "acme", "verifier": "https://registry.acme.example", "key": {"file": "vsa.pem"}}


@pytest.mark.parametrize(
    "vsa",
    [
        {},
        {key: VSA[key] for key in ("name", "key")},
        VSA | {"verifier": "https://registry.acme.example/path"},
        VSA | {"verifier": "registry.acme.example"},
        VSA | {"key": "vsa.pem"},
        VSA | {"notAfter": "2026-01-01"},
    ],
    ids=range(6),
)
def test_a_vsa_key_that_does_not_say_whose_it_is_is_refused(vsa: dict[str, Any]) -> None:
    whole = {"roots": {"main": {"file": "x"}}, "vsa": [VSA | {"notAfter": "2026-01-01T00:00:00Z"}]}
    assert parse_trust_file(json.dumps(whole).encode(), name="trust.yaml")[0].vsa[0].not_after is not None
    with pytest.raises(TrustFileInvalid):
        parse_trust_file(json.dumps(whole | {"vsa": [vsa]}).encode(), name="trust.yaml")
