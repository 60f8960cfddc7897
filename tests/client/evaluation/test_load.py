"""Files on disk: results, what is hashed, and who judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, InvalidInput
from tidegate.evaluation.load import load_digest, load_evaluation, parse_judge
from tidegate.evaluation.results import Measured
from tidegate.formats.predicates.evaluation import Judge

SOME = Digest.of(b"some")


def test_results_on_disk_become_an_evaluation(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("case,passed\na,true\nb,no\n")
    found = load_evaluation(tmp_path / "results.csv", Measured("suite", SOME, SOME))
    assert found.outcomes == {"a": 1, "b": 0}
    with pytest.raises(InvalidInput) as refused:
        load_evaluation(tmp_path / "absent.csv", Measured("suite", SOME, SOME))
    assert refused.value.reasons[0].code == "invalid-input"


def test_a_digest_is_taken_as_it_is_and_a_file_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_bytes(b"some")
    assert load_digest(str(tmp_path / "cases.json")) == load_digest(SOME) == SOME
    for wrong in (str(tmp_path), "sha256:1", str(tmp_path / "absent")):
        with pytest.raises(DigestInvalid) as refused:
            load_digest(wrong)
        assert refused.value.reasons[0].code == "digest-invalid"


@pytest.mark.parametrize(
    ("text", "judge"),
    [
        ("openai/gpt-4o-2024-08-06", Judge("openai", "gpt-4o-2024-08-06")),
        ("huggingface/Qwen/Qwen3-32B@5a5a", Judge("huggingface", "Qwen/Qwen3-32B", "5a5a")),
    ],
)
def test_judges_are_written_as_provider_model_and_pin(text: str, judge: Judge) -> None:
    assert parse_judge(text) == judge


@pytest.mark.parametrize("text", ["gpt-4o", "/gpt", "openai/", "openai/gpt@", ""])
def test_what_is_no_judge_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_judge(text)
    assert refused.value.reasons[0].code == "invalid-input"
