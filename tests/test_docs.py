"""The documentation against the tree: links resolve, and what exists is written down."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.errors_doc import Source
from tidegate.cli.main import VERBS
from tidegate.formats.predicates.types import PREDICATE_TYPES
from tidegate.verify.artifact import RELEASE_STEP_TITLES
from tidegate.verify.attestation import STEP_TITLES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
STEP = re.compile(r"\b[A-Z]\d{1,2}\b")
TEST_FILE = re.compile(r"test_[a-z0-9_]+\.py")


def pages() -> list[Path]:
    """Every page that people read, except those of tools and environments."""
    folders = (DOCS, ROOT / "client", ROOT / "registry", ROOT / "policies", ROOT / "examples")
    return sorted((*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))))


def without_code(text: str) -> str:
    """Leave out what only shows how something is written."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page: those of its headings, as code hosts make them, and those it sets itself."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)">', text))


def everything() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages())


def test_there_are_pages_to_check() -> None:
    assert {ROOT / "README.md", DOCS / "threats.md", DOCS / "adr" / "README.md"} <= set(pages())


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} is not there"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


def test_every_page_of_the_documentation_can_be_reached_from_its_index() -> None:
    reached: set[Path] = set()
    queue = [DOCS / "README.md"]
    while queue:
        page = queue.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = LINK.findall(without_code(page.read_text(encoding="utf-8")))
        queue += [(page.parent / link.partition("#")[0]).resolve() for link in links if "://" not in link]
    assert set(DOCS.rglob("*.md")) <= reached


def decisions() -> list[Path]:
    return sorted((DOCS / "adr").glob("[0-9]*.md"))


def test_the_index_of_decisions_is_complete_and_says_each_status() -> None:
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| .+ \| (\S+) \|$", index, flags=re.MULTILINE)
    statuses = {
        path.name: re.findall(r"^\* Status: (\S+)", path.read_text(), flags=re.MULTILINE)[0] for path in decisions()
    }
    assert {name: status for _, name, status in rows} == statuses
    numbers = [number for number, _, _ in rows]
    assert numbers == sorted(set(numbers)), "in order, none twice"


@pytest.mark.parametrize("page", decisions(), ids=lambda page: page.stem)
def test_a_decision_is_fair_to_every_option(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.search(r"^\* Date: \d{4}-\d{2}-\d{2}$", text, flags=re.MULTILINE)
    for heading in ("## Context", "## Drivers", "## Options", "## Decision", "## Consequences"):
        assert f"\n{heading}" in text
    options = text.split("\n## Options")[1].split("\n## Decision")[0].split("\n### ")[1:]
    assert len(options) > 1
    for option in options:
        assert "* Good, because " in option
        assert "* Bad, because " in option


def threat_rows() -> Iterator[list[str]]:
    table = (DOCS / "threats.md").read_text(encoding="utf-8").split("| threat |")[1]
    for line in table.splitlines()[2:]:
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_attack_test_is_named_in_the_threats_and_the_other_way_round() -> None:
    named = {name for row in threat_rows() for name in TEST_FILE.findall(row[3])}
    assert named == {path.name for path in (ROOT / "tests" / "attacks").glob("test_*.py")}


def test_a_threat_is_covered_by_a_test_or_names_the_capability_that_will() -> None:
    for threat, _, _, test, status in threat_rows():
        if status.startswith("planned"):
            assert not test, threat
            assert re.fullmatch(r"planned: .+", status), threat
        else:
            assert re.fullmatch(r"covered|part: .+", status), threat
            assert TEST_FILE.search(test), threat


def test_the_steps_named_in_the_threats_exist() -> None:
    pages = (page.read_text(encoding="utf-8") for page in (DOCS / "spec").glob("*.md"))
    specified = {step for text in pages for step in STEP.findall(text)}
    named = {step for row in threat_rows() for step in STEP.findall(row[2])}
    assert named
    assert named <= specified


def test_every_step_of_the_code_is_specified() -> None:
    page = (DOCS / "spec" / "verification.md").read_text(encoding="utf-8")
    assert set(STEP_TITLES) | set(RELEASE_STEP_TITLES) <= set(STEP.findall(page))


def test_the_readme_needs_exactly_two_commands() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    assert [block.split() for block in blocks] == [["scripts/demo", "scripts/test"]]
    for command in blocks[0].split():
        assert (ROOT / command).stat().st_mode & 0o100


def test_every_verb_of_tidegate_is_documented() -> None:
    text = everything()
    for verb in (verb for group in VERBS.values() for verb in group):
        assert re.search(rf"\btidegate {verb}\b", text), verb


def test_every_command_of_the_registry_is_documented() -> None:
    program = Path(sys.executable).with_name("tidegate-registry")
    overview = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  +([a-z][a-z-]+)  +\S", overview, flags=re.MULTILINE)
    assert "sandbox" in commands
    text = everything()
    for command in commands:
        assert re.search(rf"\btidegate-registry {command}\b", text), command


def test_every_error_code_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    missing = sorted(code for code in Source().entries() if f"| `{code}` |" not in page)
    assert not missing, "run scripts/errors_doc.py"


def test_every_code_that_a_test_asserts_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    asserted = re.compile(r"""\bcodes?\b[^"'\n=]*(?:==|!=| in )\s*[({\[]*["']([a-z][a-z0-9-]*)["']""")
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if "sandbox" not in path.parts)
    found = {code for path in tests for code in asserted.findall(path.read_text(encoding="utf-8"))}
    assert found
    assert not sorted(code for code in found if f"`{code}`" not in page)


def test_every_predicate_type_is_documented() -> None:
    text = everything()
    for name, uri in PREDICATE_TYPES.items():
        assert name in text
        assert uri in text, uri


def test_every_error_code_of_the_task_protocol_is_documented_and_used_by_the_example() -> None:
    documented = set(
        re.findall(
            r"^\| `([a-z]+-?[a-z-]*)` \| .* \| (?:stays|closed) \|",
            (DOCS / "spec" / "agent-runtime.md").read_text(),
            flags=re.MULTILINE,
        )
    )
    sources = (ROOT / "examples" / "support-agent" / "support_agent").glob("*.py")
    used = {code for path in sources for code in re.findall(r'BadLine\(\s*"([a-z-]+)"', path.read_text())}
    assert used == documented
