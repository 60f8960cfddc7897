from __future__ import annotations

import pytest

from tidegate.formats.pins import pinned_by

PINNED = {
    "gpt-4o-2024-08-06": "date 2024-08-06",
    "o1-2024-12-17": "date 2024-12-17",
    "claude-sonnet-4-20250514": "date 20250514",
    "anthropic/claude-sonnet-4-5-20250929": "date 20250929",
    "anthropic.claude-3-5-sonnet-20241022-v2:0": "date 20241022",
    "gemini-2.5-flash-preview-09-2025": "date 09-2025",
    "command-r-08-2024": "date 08-2024",
    "qwen-max-2025-01-25": "date 2025-01-25",
    "gpt-4-0613": "date 0613",
    "gpt-4-1106-preview": "date 1106",
    "mistral-large-2411": "date 2411",
    "grok-2-1212": "date 1212",
    "deepseek-r1-0528": "date 0528",
    "llama3@sha256:" + "a" * 64: "digest",
    "Qwen/Qwen2.5-7B@" + "b" * 40: "revision",
    "Qwen/Qwen2.5-7B@" + "b" * 64: "revision",
}
FLOATING = [
    *("gpt-4o", "gpt-5-mini", "o1", "chatgpt-4o-latest", "gpt-4o-2024-08-06-latest", "gpt-4.1"),
    *("claude-sonnet-4", "claude-sonnet-4-5", "claude-3-5-sonnet-latest", "claude-2.1", "anthropic/claude-opus-4-1"),
    *("gemini-1.5-pro-002", "gemini-2.0-flash-001", "gemini-pro", "amazon.nova-pro-v1:0"),
    *("llama3:latest", "llama-3.3-70b-versatile", "meta/llama-3.1-405b", "phi-3-mini-128k", "mistral-small-3.1"),
    *("minimax/minimax-m2", "*", "auto", "my-deployment", "stable-2024-08-06"),
    *("model-1024", "model-2048", "model-4096", "model-8192", "gpt-2025", "model-0000", "model-1332"),
    *("gpt-4o-2024-13-40", "x-20259999", "x-1999-01-01", "x2024-08-06", "2024x-08", "20240806123"),
    *("x@sha256:", "x@sha256:" + "A" * 64, "x@" + "b" * 39),
]


@pytest.mark.parametrize("model", PINNED)
def test_an_id_with_a_date_a_digest_or_a_commit_is_pinned(model: str) -> None:
    assert pinned_by(model) == PINNED[model]


@pytest.mark.parametrize("model", FLOATING)
def test_any_other_id_can_float(model: str) -> None:
    assert pinned_by(model) is None


def test_a_name_without_meaning_is_pinned_by_what_stands_beside_it() -> None:
    assert pinned_by("x-latest", digest="sha256:" + "a" * 64) == "digest"
    assert pinned_by("x", revision="b" * 40) == "revision"
    assert pinned_by("x", file="weights/x.gguf") == "file weights/x.gguf"
