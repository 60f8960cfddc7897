"""Secrets are refused at build. Those in here are made as the tests run, so no scanner finds them in the source."""

from __future__ import annotations

import json
import random
import re
import string
from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, build_agent, write_agent
from tidegate.bundle.build import Built, Overrides, build
from tidegate.bundle.inspection import inspect_bundle
from tidegate.bundle.secrets import MAX_FINDINGS, OVERLAP, TOKEN_RULES, WORD_RULES, find_secrets
from tidegate.cli.main import main
from tidegate.digest import CHUNK_BYTES
from tidegate.errors import AgentFileInvalid, SourceTreeInvalid
from tidegate.formats.declarations import AllowedSecret

WORDS = string.ascii_letters + string.digits
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PAGE = Path(__file__).parents[3] / "docs" / "spec" / "secrets.md"


def made(length: int, alphabet: str = WORDS, seed: int = 7) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))  # noqa: S311 - it is nobody's secret


SECRETS = {
    "aws-access-key": [f"AKIA{made(16, UPPER)}", f"ASIA{made(16, UPPER)}"],
    "aws-secret-key": [f'aws_secret_access_key = "{made(40)}"', f'"SecretAccessKey": "{made(38)}/+"'],
    "github-token": [f"ghp_{made(36)}", f"ghs_{made(36)}", f"github_pat_{made(22)}_{made(59)}"],
    "gitlab-token": [f"glpat-{made(20)}", f"glptt-{made(40)}"],
    "slack-token": [f"xoxb-{made(12, string.digits)}-{made(24)}", f"xapp-1-{made(40)}"],
    "slack-webhook": [f"https://hooks.slack.com/services/T{made(9)}/B{made(9)}/{made(24)}"],
    "openai-key": [f"sk-{made(20)}T3BlbkFJ{made(20)}", f"sk-proj-{made(74)}T3BlbkFJ{made(74)}"],
    "anthropic-key": [f"sk-ant-api03-{made(93)}AA"],
    "google-key": [f"AIza{made(35)}", f"GOCSPX-{made(28)}"],
    "npm-token": [f"npm_{made(36)}"],
    "pypi-token": [f"pypi-AgEIcHlwaS5vcmc{made(140)}"],
    "stripe-key": [f"sk_live_{made(24)}", f"rk_live_{made(99)}"],
    "huggingface-token": [f"hf_{made(34)}"],
    "groq-key": [f"gsk_{made(52)}"],
    "xai-key": [f"xai-{made(80)}"],
    "age-key": [f"AGE-SECRET-KEY-1{made(58, '023456789ACDEFGHJKLMNPQRSTUVWXYZ')}"],
    "openrouter-key": [f"sk-or-v1-{made(64, '0123456789abcdef')}"],
    "replicate-token": [f"r8_{made(37)}"],
    "docker-token": [f"dckr_pat_{made(27)}"],
    "sendgrid-key": [f"SG.{made(22)}.{made(43)}"],
    "vault-token": [f"hvs.{made(95)}"],
    "azure-key": [f"DefaultEndpointsProtocol=https;AccountKey={made(86)}=="],
    "jwt": [f"Bearer eyJ{made(30)}.eyJ{made(200)}.{made(43)}"],
    "url-password": [
        f"postgres://tide:{made(12)}@db.acme.io/tide",
        f"redis://:{made(12)}@cache:6379",
        f"https://oauth2:{made(20)}@git.acme.io/a.git",
    ],
    "private-key": [
        f"-----BEGIN PRIVATE KEY-----\n{made(64)}\n",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{made(32)}\n\n{made(64)}\n",
        f'{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{made(64)}\\n"}}',
        f'KEY = ("-----BEGIN OPENSSH PRIVATE KEY-----\\n"\n  "{made(64)}\\n"\n)',
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{made(64)}\n",
    ],
}
CASES = [(rule, text) for rule, texts in SECRETS.items() for text in texts]


@pytest.mark.parametrize(("rule", "text"), CASES, ids=[f"{rule}-{at}" for at, (rule, _) in enumerate(CASES)])
def test_each_form_is_found_with_its_line_and_never_shown(rule: str, text: str) -> None:
    (found,) = find_secrets(f"# settings\n\nVALUE: '{text}'\n".encode())
    assert (found.rule.name, found.line) == (rule, 3)
    shown = found.excerpt.split("…")[0]
    assert shown in text
    assert all(made(length, seed=7)[:5] not in found.excerpt for length in (12, 40))
    assert not re.search(r"[A-Za-z0-9/+]{12}", shown.replace("AGE-SECRET-KEY-1", "").replace("hooks.slack.com", ""))


def test_every_rule_is_tried_above_and_on_its_page() -> None:
    rules = {rule.name for _, rule in (*TOKEN_RULES, *WORD_RULES)}
    assert rules == set(SECRETS)
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)) == rules


HARMLESS = {
    "a placeholder": "AKIAIOSFODNN7EXAMPLE and ghp_" + "x" * 36,
    "a repeated letter": f"sk_live_{'ab' * 12}",
    "a template": "postgres://${USER}:${PASSWORD}@db/tide https://user:<password-here>@host https://u:********@host",
    "a host of documentation": f"https://user:{made(12)}@registry.example https://user:{made(12)}@a.test",
    "a header alone": 'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    return load(text)\n',
    "a public key": f"-----BEGIN PUBLIC KEY-----\n{made(64)}\n",
    "a digest": "sha256:" + "0123456789abcdef" * 4,
    "the middle of a word": f"xAKIA{made(16, UPPER)} disk-{made(60)}",
    "a token of a manual": f"eyJ{made(30)}.eyJ{made(22)}.{made(43)} mssql://scott:tiger^5HHH@mssql2017:1433/test",
    "a test key": f"sk_test_{made(24)}",
    "a port and a path": "see http://host:8080/a@b and git@github.com:acme/agent.git",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_only_looks_a_little_like_a_secret_is_let_through(text: str) -> None:
    assert find_secrets(text.encode()) == ()


@pytest.mark.parametrize(
    "before",
    [0, CHUNK_BYTES - OVERLAP - 3, CHUNK_BYTES - OVERLAP - 2, CHUNK_BYTES - 20, CHUNK_BYTES, 3 * CHUNK_BYTES - 7],
)
def test_a_secret_is_found_once_wherever_chunks_end(before: int) -> None:
    filler = b"".join(b"%07d\n" % line for line in range(before // 8 + 1))[: max(before - 1, 0)]
    text = b"\n" * bool(before) + filler + b" \n" + f"ghp_{made(36)}".encode() + b"\n" + filler
    (found,) = find_secrets(text)
    assert found.line == text[: text.index(b"ghp_")].count(b"\n") + 1


@pytest.mark.parametrize("escape", ["\\n", "\\r\\n", "\\t", "\\\\n"])
def test_a_secret_after_an_escape_in_a_string_is_found(escape: str) -> None:
    (found,) = find_secrets(f'{{"note": "Tokens:{escape}ghp_{made(36)}"}}'.encode())
    assert found.rule.name == "github-token"


@pytest.mark.parametrize("before", range(CHUNK_BYTES - OVERLAP - 5, CHUNK_BYTES - OVERLAP + 2))
def test_it_is_found_wherever_chunks_end(before: int) -> None:
    text = b"." * before + rf"\nghp_{made(36)}".encode() + b"." * CHUNK_BYTES
    assert len(find_secrets(text)) == 1


def test_one_file_gives_a_bounded_number_of_findings() -> None:
    text = "".join(f"hf_{made(34, seed=seed)}\n" for seed in range(100))
    assert len(find_secrets(text.encode())) == MAX_FINDINGS


def test_binary_files_are_not_looked_through() -> None:
    assert find_secrets(b"GGUF\0" + f" ghp_{made(36)}".encode()) == ()


# -- building ---------------------------------------------------------------------------------------------------------

TOKEN, KEY = f"ghp_{made(36)}", f"AKIA{made(16, UPPER)}"
LEAKY: dict[str, str | bytes] = {
    "main.py": f"print('hello')\nTOKEN = '{TOKEN}'\n",
    "config.json": f'{{"key": "{KEY}"}}',
    "weights/vocabulary.txt": f"\n\n{TOKEN}\n",
    "agent.yaml": AGENT_YAML + "components: {config: config.json, weights: weights/*}\n",
}


def test_a_build_is_refused_with_file_line_and_rule_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceTreeInvalid) as caught:
        build_agent(tmp_path, LEAKY)
    assert [(reason.code, reason.message) for reason in caught.value.reasons] == [
        ("secret-found", "config.json:1: an AWS access key id (rule aws-access-key)"),
        ("secret-found", "main.py:2: a GitHub token (rule github-token)"),
        ("secret-found", "weights/vocabulary.txt:3: a GitHub token (rule github-token)"),
    ]
    assert not any(path.is_file() for path in (tmp_path / "layout" / "blobs").rglob("*"))


def test_no_output_of_the_command_holds_the_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_agent(tmp_path / "agent", LEAKY))
    for options in ((), ("--json",)):
        assert main(["build", folder, *options]) == 2
        written = "".join(capsys.readouterr())
        assert "main.py:2: a GitHub token" in written
        assert TOKEN[5:] not in written
        assert KEY[5:] not in written


def allow(tmp_path: Path, *paths: str) -> Built:
    overrides = Overrides(allowed_secrets=tuple(AllowedSecret(path=path, reason="a test") for path in paths))
    return build(write_agent(tmp_path / "agent", LEAKY), tmp_path / "layout", overrides=overrides)


def test_only_the_allowed_files_may_hold_secrets(tmp_path: Path) -> None:
    with pytest.raises(SourceTreeInvalid) as caught:
        allow(tmp_path, "main.py", "config.json")
    assert [reason.code for reason in caught.value.reasons] == ["secret-found"]
    assert caught.value.reasons[0].message.startswith("weights/vocabulary.txt:3")


def test_what_was_allowed_is_recorded_and_shown_and_changes_no_behaviour(tmp_path: Path) -> None:
    built = allow(tmp_path, "weights/vocabulary.txt", "main.py", "config.json")
    assert [each.path for each in built.config.allowed_secrets] == ["config.json", "main.py", "weights/vocabulary.txt"]
    assert "not looked through for secrets: main.py: a test" in built.warnings
    shown = "\n".join(inspect_bundle(built.layout, check=True).lines())
    assert "MAY HOLD SECRETS" in shown
    assert re.search(r"main\.py +a test", shown)
    assert built.config.model_copy(update={"allowed_secrets": ()}).computed_behaviour() == built.config.behaviour


def test_agent_yaml_and_the_command_line_allow_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_agent(tmp_path / "one", {**LEAKY, "agent.yaml": AGENT_YAML})
    options = [f"--allow-secret={path}= a test" for path in ("main.py", "config.json", "weights/vocabulary.txt")]
    assert main(["build", str(one), *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)  # noqa: TID251 - as a script would
    assert told["allowedSecrets"][0] == {"path": "config.json", "reason": "a test"}
    rows = "".join(f"  - {{path: {row['path']}, reason: a test}}\n" for row in told["allowedSecrets"])
    built = build_agent(tmp_path / "two", {**LEAKY, "agent.yaml": f"{AGENT_YAML}allowedSecrets:\n{rows}"})
    assert [each.model_dump() for each in built.config.allowed_secrets] == told["allowedSecrets"]
    assert str(built.config.behaviour) == told["behaviour"]


@pytest.mark.parametrize("given", ["main.py", "main.py=", "=why", "../x=why", "main.py=a\nb"])
def test_an_allowance_without_path_and_reason_is_refused(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(write_agent(tmp_path / "agent", LEAKY)), "--allow-secret", given]) == 2
    assert "allow-secret-invalid" in capsys.readouterr().err


def test_an_allowance_for_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentFileInvalid) as caught:
        allow(tmp_path, "mian.py")
    assert [reason.code for reason in caught.value.reasons] == ["file-missing"]


def test_a_source_with_a_password_is_refused(tmp_path: Path) -> None:
    overrides = Overrides(source=f"https://ci:{made(20)}@git.acme.io/agent.git")
    with pytest.raises(SourceTreeInvalid) as caught:
        build(write_agent(tmp_path / "agent"), tmp_path / "layout", overrides=overrides)
    assert [reason.code for reason in caught.value.reasons] == ["secret-found"]


def test_a_bundle_that_is_built_is_not_published_with_other_exceptions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = build_agent(tmp_path).layout.path
    nobody = ("--no-sign", "--registry", "http://127.0.0.1:9")
    assert main(["publish", str(layout), *nobody, "--allow-secret", "main.py=a test"]) == 2
    assert "already-built" in capsys.readouterr().err
