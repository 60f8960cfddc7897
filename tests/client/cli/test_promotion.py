"""Promote, reject, withdraw, promotions, channels, rollback, revoke, lift-hold, break-glass: what is asked and told."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.client.cli.channel_server import (
    AGENT,
    DIGEST,
    REQUEST,
    ChannelServer,
    Document,
    channel,
    finding,
    promotion,
    running,
)
from tidegate.cli import moves
from tidegate.cli.main import main
from tidegate.cli.output import Output
from tidegate.errors import InvalidInput
from tidegate.formats.jcs import parse_object

MET = finding("sbom", "met", "there is an SBOM")
UNMET = finding(
    "two-reviewers",
    "unmet",
    "1 of 2 reviewers have approved",
    found="bob",
    expected="2 persons of the role reviewer",
    whoCan=["carol", "dave"],
    hint="run `tidegate approve` as one of them",
)
UNKNOWN = finding("soaked", "inconclusive", "nobody reports tasks yet")


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Document:
        return dict(parse_object(self.out.encode(), limit=1 << 20, what="output"))


@pytest.fixture
def server() -> Iterator[ChannelServer]:
    with running() as found:
        yield found


@pytest.fixture
def run(
    server: ChannelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    for name in [name for name in os.environ if name.startswith(("TIDEGATE_", "GITHUB_", "CI"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIDEGATE_REGISTRY", server.host)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("tidegate.promotion.follow.FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("tidegate.remote.transport.FIRST_WAIT_SECONDS", 0.0)

    def run_command(*arguments: str) -> Done:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run_command


Run = Callable[..., Done]


def test_a_promotion_that_lacks_nothing_is_done(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("done", MET)))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging", "--reason", "the fix")
    assert (done.code, done.out) == (0, f"{REQUEST}\n")
    assert "Promoted" in done.err
    assert server.sent("POST", "/promotions") == [
        {"agent": AGENT, "version": "1.3.0", "channel": "staging", "reason": "the fix"}
    ]


def test_agent_and_version_can_be_two_words(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("done", MET)))
    assert run("promote", AGENT, "1.3.0", "--to", "staging").code == 0
    assert run("promote", f"{server.host}/{AGENT}", "1.3.0", "--to", "staging").code == 0
    assert [sent["version"] for sent in server.sent("POST", "/promotions")] == ["1.3.0", "1.3.0"]


@pytest.mark.parametrize(
    "arguments",
    [
        (AGENT,),
        (f"{AGENT}:1.3.0", "1.3.0"),
        (AGENT, "1.3"),
        (f"{AGENT}:stable",),
        (AGENT, "1.3.0", "--timeout", "soon"),
    ],
)
def test_what_names_no_release_is_refused_before_anybody_is_asked(
    server: ChannelServer, run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("promote", *arguments, "--to", "staging").code == 2
    assert server.asked == []


def test_an_open_request_says_what_it_lacks_and_who_can_supply_it(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("open", MET, UNMET, UNKNOWN)))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging")
    assert (done.code, done.out) == (4, f"{REQUEST}\n")
    assert "open, 2 of 3 missing" in done.err
    assert "✓ sbom" in done.err
    assert "✗ two-reviewers" in done.err
    assert "? soaked" in done.err
    for part in ("found     bob", "expected  2 persons", "who can   carol, dave", "tidegate approve"):
        assert part in done.err
    assert max(map(len, done.err.splitlines())) <= 80


def test_json_is_the_registrys_answer(server: ChannelServer, run: Run) -> None:
    answer = promotion("open", UNMET)
    server.say("POST", "/promotions", (201, answer))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging", "--json")
    assert (done.code, done.json) == (4, answer)


def test_waiting_shows_what_changed_until_it_is_over(server: ChannelServer, run: Run) -> None:
    approved = finding("two-reviewers", "met", "2 of 2 reviewers have approved")
    server.say("POST", "/promotions", (201, promotion("open", MET, UNMET)))
    asked = [promotion("open", MET, UNMET), promotion("open", MET, approved), promotion("done", MET, approved)]
    server.say("GET", f"/promotions/{REQUEST}", *((200, answer) for answer in asked))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging", "--wait")
    assert done.code == 0
    assert done.err.count("✓ two-reviewers") == 1
    assert done.err.count("sbom") == 1


def test_a_request_that_another_supersedes_ends_the_wait(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("open", UNMET)))
    over = promotion("superseded", UNMET, outcome="1.4.0 was asked for")
    server.say("GET", f"/promotions/{REQUEST}", (200, over))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging", "--wait")
    assert done.code == 1
    assert "Superseded" in done.err
    assert "1.4.0 was asked for" in done.err


def test_an_interrupted_wait_leaves_the_request_open(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("open", UNMET)))
    server.say("GET", f"/promotions/{REQUEST}", (200, promotion("open", UNMET)))
    server.on_request = lambda method, _: signal.raise_signal(signal.SIGINT) if method == "GET" else None
    previous = signal.getsignal(signal.SIGINT)
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging", "--wait")
    assert signal.getsignal(signal.SIGINT) is previous
    assert done.code == 130
    assert f"{REQUEST} stays open" in done.err


def test_a_refusal_has_every_reason(server: ChannelServer, run: Run) -> None:
    words = ("1.2.0 is older than what staging serves", "use `tidegate rollback`")
    reasons = [{"code": "forward", "message": words[0], "hint": words[1], "step": "unmet"}]
    server.say("POST", "/promotions", (403, {"detail": "not promoted", "reasons": reasons}))
    done = run("promote", f"{AGENT}:1.2.0", "--to", "staging", "--json")
    assert done.code == 1
    assert '"code": "promotion-refused"' in done.out
    assert all(word in done.out and word in done.err for word in words)


def test_what_a_registry_says_cannot_steer_the_terminal(server: ChannelServer, run: Run) -> None:
    evil = finding("x", "unmet", "\x1b[2J\x9b31mapproved\u202e", found="\x1b]0;owned\x07", whoCan=["\x1b[1m"])
    server.say("POST", "/promotions", (201, promotion("open", evil, reason="\x1b[2J")))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging")
    assert not set("\x1b\x9b\x07\u202e") & set(done.err)


def test_an_error_that_quotes_a_stranger_cannot_either(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\x9b1A\u202eapproved"
    Output().error(InvalidInput(evil, found=evil, expected=evil, hint=evil))
    written = capsys.readouterr().err
    assert written.count("approved") == 4
    assert not set("\x1b\x9b\u202e") & set(written)


def test_an_answer_of_another_form_is_told(server: ChannelServer, run: Run) -> None:
    server.say("POST", "/promotions", (201, promotion("dancing")))
    done = run("promote", f"{AGENT}:1.3.0", "--to", "staging")
    assert done.code == 3
    assert "answer-malformed" in done.err


@pytest.mark.parametrize(("verb", "route", "reason"), [("reject", "rejection", "no"), ("withdraw", "withdrawal", None)])
def test_a_request_is_rejected_or_withdrawn(
    server: ChannelServer, run: Run, verb: str, route: str, reason: str
) -> None:
    server.say("GET", f"/promotions/{REQUEST}", (200, promotion("open", UNMET)))
    server.say("POST", f"/promotions/{REQUEST}/{route}", (200, promotion("rejected", UNMET)))
    done = run(verb, REQUEST, *(("--reason", reason) if reason else ()))
    assert (done.code, done.out) == (0, f"{REQUEST}\n")
    assert server.sent("POST", f"/promotions/{REQUEST}/{route}") == [{"reason": reason} if reason else {}]


def test_a_rejection_needs_a_reason(server: ChannelServer, run: Run) -> None:
    assert run("reject", REQUEST).code == 2
    assert server.asked == []


def test_the_board_shows_agents_against_channels_and_what_open_requests_lack(server: ChannelServer, run: Run) -> None:
    server.say("GET", "/agents", (200, {"items": [{"name": AGENT, "released": True}], "next": None}))
    hold = {"version": "1.2.9", "digest": DIGEST, "reason": "it lost orders", "actor": "carol", "since": None}
    channels = [channel("dev", "1.3.0"), channel("staging", "1.2.0", holds=[hold]), channel("stable")]
    server.say("GET", f"/agents/{AGENT}/channels", (200, {"items": channels, "next": None}))
    server.say("GET", "/promotions", (200, {"items": [promotion("open", MET, UNMET)], "next": None}))
    done = run("promotions")
    assert done.code == 0
    head, first, *_ = done.out.splitlines()
    assert head.split() == ["AGENT", "DEV", "STAGING", "STABLE"]
    assert first.split() == [AGENT, "1.3.0", "1.2.0", "-"]
    assert "hold 1.2.9" in done.out
    assert "← 1.3.0?" in done.out
    assert "✗ two-reviewers" in done.out
    assert "✓ sbom" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "state=open" in server.asked[-1][1]


def test_the_board_as_json_holds_the_answers(server: ChannelServer, run: Run) -> None:
    server.say("GET", f"/agents/{AGENT}/channels", (200, {"items": [channel("dev", "1.3.0")], "next": None}))
    server.say("GET", "/promotions", (200, {"items": [promotion("done", MET)], "next": None}))
    done = run("promotions", "--agent", AGENT, "--all", "--json")
    assert done.json == {"channels": [channel("dev", "1.3.0")], "promotions": [promotion("done", MET)]}
    assert "state=" not in server.asked[-1][1]


def test_channels_tell_pointer_hold_and_debt(server: ChannelServer, run: Run) -> None:
    debt = {
        "id": REQUEST, "agent": AGENT, "channel": "stable", "person": "dave", "reason": "orders were lost",
        "reviewBy": "2026-06-02T12:00:00Z",
    }  # fmt: skip
    items = [channel("dev"), channel("stable", "1.2.0", sequence=9, debts=[debt])]
    server.say("GET", f"/agents/{AGENT}/channels", (200, {"items": items, "next": None}))
    done = run("channels", AGENT)
    assert done.code == 0
    for part in ("dev  serves nothing yet", "stable  1.2.0", DIGEST, "promotion 3", "promotion 9", "orders were lost"):
        assert part in done.out
    assert run("channels", f"{AGENT}:1.2.0").code == 2


def test_a_rollback_is_one_call(server: ChannelServer, run: Run) -> None:
    answer = promotion("done", action="rollback", version="1.2.0", channel="stable", source=None)
    server.say("POST", f"/agents/{AGENT}/channels/stable/rollback", (201, answer))
    done = run("rollback", AGENT, "stable", "--to", "1.2.0", "--reason", "it lost orders")
    assert (done.code, done.out) == (0, f"{REQUEST}\n")
    assert f"stable of {AGENT} back to 1.2.0" in done.err
    sent = {"version": "1.2.0", "reason": "it lost orders"}
    assert server.sent("POST", f"/agents/{AGENT}/channels/stable/rollback") == [sent]
    assert run("rollback", AGENT, "stable").code == 2
    assert run("rollback", AGENT, "stable", "--to", "1.2", "--reason", "x").code == 2


def test_a_rollback_beyond_the_window_waits_for_approvals(server: ChannelServer, run: Run) -> None:
    answer = promotion("open", UNMET, action="rollback", version="1.0.0", channel="stable")
    server.say("POST", f"/agents/{AGENT}/channels/stable/rollback", (201, answer))
    done = run("rollback", AGENT, "stable", "--to", "1.0.0", "--reason", "it lost orders")
    assert done.code == 4
    assert "✗ two-reviewers" in done.err


def test_a_revocation_lists_the_channels_that_serve_it_still(server: ChannelServer, run: Run) -> None:
    answer: Document = {
        "agent": AGENT,
        "version": "1.3.0",
        "digest": DIGEST,
        "channels": [
            {"channel": "dev", "movedTo": "1.2.0"},
            {"channel": "stable", "movedTo": None, "why": "no other", "reasons": [{"message": "bob may not"}]},
        ],
    }
    server.say("POST", "/revocations", (201, answer))
    done = run("revoke", f"{AGENT}:1.3.0", "--reason", "CVE", "--rollback")
    assert (done.code, done.out) == (0, f"{AGENT}:1.3.0@{DIGEST}\n")
    assert "dev to 1.2.0" in done.err
    assert "stable serves it still: no other\n         bob may not\n" in done.err
    assert "tidegate rollback" not in done.err, "that is what was refused"
    sent = {"agent": AGENT, "version": "1.3.0", "reason": "CVE", "rollback": True}
    assert server.sent("POST", "/revocations") == [sent]


def test_a_hold_is_lifted_with_a_reason(server: ChannelServer, run: Run) -> None:
    server.say("DELETE", f"/agents/{AGENT}/channels/stable/hold", (200, channel("stable", "1.2.0")))
    done = run("lift-hold", AGENT, "stable", "--reason", "it was the database")
    assert done.code == 0
    assert server.sent("DELETE", f"/agents/{AGENT}/channels/stable/hold") == [{"reason": "it was the database"}]


def test_uses_of_break_glass_are_listed_and_reviewed(server: ChannelServer, run: Run) -> None:
    use: Document = {
        "id": REQUEST, "agent": AGENT, "channel": "stable", "person": "dave", "reason": "orders were lost",
        "reviewBy": "2026-06-02T12:00:00Z",
    }  # fmt: skip
    server.say("GET", "/break-glass", (200, {"items": [use], "next": None}))
    server.say("POST", f"/break-glass/{REQUEST}/review", (200, use))
    done = run("break-glass")
    assert done.code == 0
    assert "orders were lost" in done.out
    assert run("break-glass", "--review", REQUEST, "--verdict", "justified", "--reason", "it was").code == 0
    sent = {"verdict": "justified", "reason": "it was"}
    assert server.sent("POST", f"/break-glass/{REQUEST}/review") == [sent]
    assert run("break-glass", "--review", REQUEST).code == 2
    assert run("break-glass", "--review", "another", "--verdict", "justified", "--reason", "x").code == 1


@pytest.mark.parametrize(
    ("said", "agreed"), [("yes\n", True), ("Y\n", True), ("no\n", False), ("\n", False), ("", False)]
)
def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, said: str, *, agreed: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    assert moves.agreed("approve", Output()) is agreed
