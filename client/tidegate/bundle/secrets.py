"""Secrets in their obvious forms, found in text while it is packed. Source: docs/spec/secrets.md, which has the rules.

Fast where nothing is found: `bytes.find` looks for fixed words, `bytes.translate` for runs of token characters, and
only where one of them starts does a regular expression look, once, at a bounded number of bytes. Nothing here keeps,
prints or returns a secret: a finding has a line, a rule, and a prefix that everybody knows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from tidegate.digest import CHUNK_BYTES
from tidegate.errors import Reason
from tidegate.formats.paths import printable

SNIFF_BYTES = 8 << 10  # a NUL this early makes a file binary, as for git and grep
OVERLAP = 16 << 10  # bytes of a chunk that are looked at again with the next: longer than any match of the rules
MAX_FINDINGS = 10  # of one file: enough to act on
RUN = 20  # token characters in a row: as many as the shortest secret with a fixed prefix has
MIN_ENTROPY = 3.0  # bits a character; 20 random letters and digits have 3.5 to 4.3, words and patterns less

_TOKEN = bytes(0x61 if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "_-") else 0 for code in range(256))
_RUN_NEEDLE = b"a" * RUN
_PLACEHOLDER = re.compile(
    rb"example|placeholder|dummy|fake|sample|your|redacted|changeme|replace|insert|passw|tiger|abcdefg|1234567|(.)\1{5}",
    re.IGNORECASE,
)
_MAX_PLACEHOLDER = 256  # in what is longer, such a word is chance
_CLASSES = tuple(re.compile(pattern) for pattern in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9]"))


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of secret. `pattern` matches from where it starts; group 1 is what is random; `shown`: public bytes."""

    name: str
    title: str
    pattern: re.Pattern[bytes]
    shown: int
    is_random: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret that was found; not the secret itself. `line` counts from 1."""

    rule: Rule
    line: int
    excerpt: str


def entropy(text: bytes) -> float:
    """Give Shannon's entropy of the characters, bits each."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _is_random(text: bytes) -> bool:
    return entropy(text) >= MIN_ENTROPY


def _is_password(text: bytes) -> bool:
    return sum(pattern.search(text) is not None for pattern in _CLASSES) > 1


def _rule(
    name: str, title: str, pattern: bytes, *, shown: int = 4, is_random: Callable[[bytes], bool] = _is_random
) -> Rule:
    return Rule(name, title, re.compile(pattern), shown, is_random)


# Forms as their makers document them, by their first two characters, which start a run of token characters.
# The prefixes exist so that scanners can be certain. Every repetition is bounded and followed by what it cannot match.
_END = rb"(?![A-Za-z0-9])"
_GITHUB = "a GitHub token"
_SLACK = "a Slack token"
_AWS = "an AWS access key id"
TOKEN_RULES: tuple[tuple[tuple[bytes, ...], Rule], ...] = (
    ((b"AK", b"AS"), _rule("aws-access-key", _AWS, rb"(?:AKIA|ASIA)([2-7A-Z]{16})" + _END)),
    ((b"gh",), _rule("github-token", _GITHUB, rb"gh[pousr]_([A-Za-z0-9]{36,255})" + _END)),
    ((b"gi",), _rule("github-token", _GITHUB, rb"github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})" + _END, shown=11)),
    (
        (b"gl",),
        _rule("gitlab-token", "a GitLab token", rb"gl(?:pat|rt|dt|ptt|soat|cbt|agent)-([\w-]{20,300})", shown=2),
    ),
    ((b"xo",), _rule("slack-token", _SLACK, rb"xox[abeoprs]-([A-Za-z0-9-]{20,250})")),
    ((b"xa",), _rule("slack-token", _SLACK, rb"xapp-[0-9]-([A-Za-z0-9-]{20,250})")),
    ((b"sk",), _rule("openai-key", "an OpenAI key", rb"sk-([\w-]{16,120}?T3BlbkFJ[\w-]{16,120})", shown=3)),
    ((b"sk",), _rule("anthropic-key", "an Anthropic key", rb"sk-ant-[a-z]{3,8}[0-9]{2}-([\w-]{60,150})", shown=7)),
    ((b"AI",), _rule("google-key", "a Google API key", rb"AIza([\w-]{35})(?![\w-])")),
    ((b"GO",), _rule("google-key", "a Google OAuth client secret", rb"GOCSPX-([\w-]{28})(?![\w-])", shown=7)),
    ((b"np",), _rule("npm-token", "an npm token", rb"npm_([A-Za-z0-9]{36})" + _END)),
    ((b"py",), _rule("pypi-token", "a PyPI token", rb"pypi-AgE([\w-]{60,400})", shown=5)),
    ((b"sk", b"rk"), _rule("stripe-key", "a live Stripe key", rb"[rs]k_live_([A-Za-z0-9]{20,250})", shown=8)),
    ((b"hf",), _rule("huggingface-token", "a Hugging Face token", rb"hf_([A-Za-z0-9]{34})" + _END, shown=3)),
    ((b"gs",), _rule("groq-key", "a Groq key", rb"gsk_([A-Za-z0-9]{52})" + _END)),
    ((b"xa",), _rule("xai-key", "an xAI key", rb"xai-([A-Za-z0-9]{80})" + _END)),
    ((b"sk",), _rule("openrouter-key", "an OpenRouter key", rb"sk-or-v1-([0-9a-f]{64})" + _END, shown=9)),
    ((b"r8",), _rule("replicate-token", "a Replicate token", rb"r8_([A-Za-z0-9]{37})" + _END, shown=3)),
    ((b"dc",), _rule("docker-token", "a Docker Hub token", rb"dckr_pat_([\w-]{27})(?![\w-])", shown=9)),
    ((b"AG",), _rule("age-key", "an age secret key", rb"AGE-SECRET-KEY-1([02-9AC-HJ-NP-Z]{58})" + _END, shown=16)),
    (
        (b"ey",),
        _rule("jwt", "a JSON web token", rb"eyJ[\w-]{10,4000}\.eyJ[\w-]{80,8000}\.([\w-]{20,1400})", shown=3),
    ),
)
_AWS_SECRET = _rule(
    "aws-secret-key",
    "an AWS secret access key",
    rb"[A-Za-z_]{15,17}[\"']?\s{0,8}[=:]\s{0,8}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    shown=0,
)
# Forms without such a run: the words that start them.
WORD_RULES: tuple[tuple[bytes, Rule], ...] = (
    (
        b"-----BEGIN ",
        # a header alone is in every program that reads keys; it counts with its content, also inside a string
        _rule(
            "private-key",
            "a private key",
            rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s\"',+]){1,40}"
            rb"(?:[A-Za-z-]{1,20}: [^\r\n]{0,120}\s{1,4}){0,4}([A-Za-z0-9+/=]{40})",
            shown=10,
        ),
    ),
    (
        b"://",
        _rule(
            "url-password",
            "a URL with a password",
            rb"://[^\s/?#:@\"'`<>{}$%()\[\]\\|]{0,100}:([^\s/?#:@\"'`<>{}$()\[\]\\*|]{8,100})@(?!localhost|127\."
            rb"|(?:[a-z0-9-]{1,63}\.){0,4}example(?:\.[a-z]{2,4})?\b|[a-z0-9.-]{1,100}\.(?:test|invalid)\b)[A-Za-z0-9\[]",
            shown=0,
            is_random=_is_password,
        ),
    ),
    (
        b"hooks.slack.com/services/",
        _rule(
            "slack-webhook", "a Slack webhook", rb"hooks\.slack\.com/services/T\w{8,12}/B\w{8,12}/(\w{24})\b", shown=15
        ),
    ),
    (b"SG.", _rule("sendgrid-key", "a SendGrid key", rb"SG\.([\w-]{22}\.[\w-]{43})(?![\w-])", shown=3)),
    (b"hvs.", _rule("vault-token", "a Vault token", rb"hvs\.([\w-]{90,300})", shown=4)),
    (b"AccountKey=", _rule("azure-key", "an Azure account key", rb"AccountKey=([A-Za-z0-9+/]{86}==)", shown=11)),
    (b"secret_access_key", _AWS_SECRET),
    (b"SECRET_ACCESS_KEY", _AWS_SECRET),
    (b"SecretAccessKey", _AWS_SECRET),
    (b"secretAccessKey", _AWS_SECRET),
)
_BY_START = {
    start: tuple(rule for starts, rule in TOKEN_RULES if start in starts)
    for starts, _ in TOKEN_RULES
    for start in starts
}


class SecretScanner:
    """Looks through one file, chunk by chunk. Memory: a chunk and a little."""

    def __init__(self) -> None:
        self._tail, self._line, self._seen = b"", 1, 0  # seen: bytes of the tail that were looked at for beginnings
        self._binary: bool | None = None
        self._found: list[Finding] = []

    def feed(self, chunk: bytes) -> None:
        """Look through the next chunk; what may go on in the one after it is looked at then."""
        if self._binary is None:
            self._binary = b"\0" in chunk[:SNIFF_BYTES]
        if self._binary or len(self._found) >= MAX_FINDINGS:
            return
        data = self._tail + chunk if self._tail else chunk
        if len(data) < CHUNK_BYTES:  # most files are one short chunk, which `finish` looks at once
            self._tail = data
            return
        self._look(data, len(data) - OVERLAP)

    def finish(self) -> tuple[Finding, ...]:
        """Give what was found in the whole file."""
        if self._tail and not self._binary and len(self._found) < MAX_FINDINGS:
            self._look(self._tail, len(self._tail))
        return tuple(self._found[:MAX_FINDINGS])

    def _look(self, data: bytes, end: int) -> None:
        """Find what begins before `end`; keep the rest, and the bytes before that tell whether a token begins there."""
        line, at = self._line, 0
        for start, rule, secret in sorted(_matches(data), key=lambda match: match[0]):
            if self._seen <= start < end:
                line, at = line + data.count(b"\n", at, start), start
                public = secret[: rule.shown].decode("ascii", "replace")
                self._found.append(Finding(rule, line, f"{public}… ({len(secret)} characters)"))
        keep = max(end - 2, 0)  # what ends a run, or the two of an escape
        self._line += data.count(b"\n", 0, keep)
        self._tail, self._seen = data[keep:], end - keep


class SecretGuard:
    """Looks through files on their way into a bundle, in any thread. Files in `allowed` may hold secrets."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = allowed
        self._found: dict[str, tuple[Finding, ...]] = {}

    def watch(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on `chunks`, the content of the file `path`."""
        if path in self._allowed:
            yield from chunks
            return
        scanner = SecretScanner()
        for chunk in chunks:
            scanner.feed(chunk)
            yield chunk
        if found := scanner.finish():
            self._found[path] = found

    @property
    def reasons(self) -> list[Reason]:
        """Say what was found so far, by path and line."""
        return [_reason(path, finding) for path in sorted(self._found) for finding in self._found[path]]


def _reason(path: str, finding: Finding) -> Reason:
    return Reason(
        "secret-found",
        f"{printable(path)}:{finding.line}: {finding.rule.title} (rule {finding.rule.name})",
        found=finding.excerpt,
        expected="no secrets in a bundle: whoever may pull it could read them",
        hint="take it out, have it withdrawn where it came from, and name it under capabilities.secrets; if it is "
        "none, say so: --allow-secret PATH=REASON, or allowedSecrets in agent.yaml",
    )


def find_secrets(text: bytes) -> tuple[Finding, ...]:
    """Look through a text that is in memory."""
    scanner = SecretScanner()
    for start in range(0, len(text), CHUNK_BYTES):
        scanner.feed(text[start : start + CHUNK_BYTES])
    return scanner.finish()


def _matches(data: bytes) -> Iterator[tuple[int, Rule, bytes]]:
    for word, rule in WORD_RULES:
        at = data.find(word)
        while at >= 0:
            if (match := rule.pattern.match(data, at)) and _is_secret(rule, match):
                yield at, rule, match[0]
            at = data.find(word, at + len(word))
    runs = data.translate(_TOKEN)
    at = runs.find(_RUN_NEEDLE)
    while at >= 0:
        if data[at - 1 : at] == b"\\":  # the letter of an escape, as in "first line\\nghp_…", is none of the token
            at += 1
        for rule in _BY_START.get(data[at : at + 2], ()):
            if (match := rule.pattern.match(data, at)) and _is_secret(rule, match):
                yield at, rule, match[0]
        end = runs.find(0, at)
        at = runs.find(_RUN_NEEDLE, end) if end >= 0 else -1


def _is_secret(rule: Rule, match: re.Match[bytes]) -> bool:
    """Whether it is random enough, and no placeholder."""
    if len(match[0]) <= _MAX_PLACEHOLDER and _PLACEHOLDER.search(match[1]):
        return False
    return rule.is_random(match[1])
