"""Alerts as signed requests, and what a receiver may not do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.client.auditor.receiver import SECRET, Receiver, receiving
from tidegate.auditor.webhook import Webhook, parse_receiver
from tidegate.errors import InvalidInput, Unreachable

NOW = 1_790_000_000.5


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def sender(url: str, client: httpx2.Client) -> Webhook:
    return Webhook(parse_receiver(url, SECRET), client, clock=lambda: NOW)


def test_a_request_carries_its_id_its_time_and_a_signature_over_both_and_the_body(receiver: Receiver) -> None:
    with httpx2.Client() as client:
        sender(receiver.url, client).send("alert_1", b'{"rule":"break-glass"}')
    (got,) = receiver.got
    assert (got.path, got.body) == ("/hook", b'{"rule":"break-glass"}')
    assert got.headers["webhook-id"] == "alert_1"
    assert got.headers["webhook-timestamp"] == "1790000000"
    assert got.is_signed()


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 410, 429, 500])
def test_anything_but_success_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: (status, {"Location": f"{receiver.url}/elsewhere"})
    with httpx2.Client(follow_redirects=True) as client, pytest.raises(Unreachable) as refused:
        sender(receiver.url, client).send("alert_1", b"{}")
    assert refused.value.reasons[0].code == "webhook-refused"
    assert [each.path for each in receiver.got] == ["/hook"]


def test_little_of_an_answer_is_read() -> None:
    with receiving() as receiver, httpx2.Client() as client:
        receiver.body = b"x" * (64 << 20)
        sender(receiver.url, client).send("alert_1", b"{}")
    assert receiver.cut == 1


def test_an_answer_that_drips_is_not_waited_for() -> None:
    now = NOW

    def clock() -> float:
        nonlocal now
        now += 10  # each byte of the answer takes so long
        return now

    def dripping() -> Iterator[bytes]:
        for count in range(1000):
            assert count < 5, "still reading"
            yield b"x"

    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, content=dripping()))
    with httpx2.Client(transport=answer) as client:
        receiver = parse_receiver("http://127.0.0.1/hook", SECRET)
        Webhook(receiver, client, clock=lambda: NOW, monotonic=clock).send("alert_1", b"{}")


def test_a_name_that_only_the_proxy_knows_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str) -> list[str]:
        raise OSError(host)

    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, content=iter((b"ok",))))
    receiver = parse_receiver("https://receiver.example/hook", SECRET)
    with httpx2.Client(transport=answer) as client:
        webhook = Webhook(receiver, client, clock=lambda: NOW, resolve=unknown)
        with pytest.raises(Unreachable):
            webhook.send("alert_1", b"{}")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
        webhook.send("alert_1", b"{}")


def test_a_receiver_that_is_away_is_unreachable_and_its_path_is_not_told() -> None:
    with receiving() as gone:
        url = gone.url
    with httpx2.Client() as client, pytest.raises(Unreachable) as refused:
        sender(url, client).send("alert_1", b"{}")
    assert refused.value.reasons[0].code == "webhook-unreachable"
    assert "/hook" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/hook",
        "https://user:secret@receiver.example/hook",
        "https:///hook",
        "ftp://receiver.example/hook",
        "https://receiver.example/ü",
        f"https://receiver.example/{'x' * 3000}",
        "https://[::1",
        "https://receiver.example:99999/hook",
        "https://receiver.example:x/hook",
    ],
)
def test_urls_that_are_no_receiver_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_receiver(url, SECRET)
    assert refused.value.reasons[0].code == "webhook-url"


@pytest.mark.parametrize("secret", ["", "short", "whsec_" + "QQ==", "not base64 at all, but long enough to be one!"])
def test_secrets_that_are_none_are_refused(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_receiver("https://receiver.example/hook", secret)
    assert refused.value.reasons[0].code == "webhook-secret"


def test_a_secret_may_carry_the_prefix_that_others_give_it() -> None:
    plain, prefixed = (parse_receiver("https://receiver.example/", text) for text in (SECRET, f"whsec_{SECRET}\n"))
    assert plain == prefixed
