"""A receiver of alerts, or whoever answers for its name, has the watcher ask a cloud's metadata service."""

from __future__ import annotations

import httpx2
import pytest

from tests.client.auditor.receiver import SECRET, receiving
from tidegate.auditor.webhook import Webhook, parse_receiver
from tidegate.errors import Unreachable

METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


def test_a_webhook_that_redirects_to_a_metadata_address_is_not_followed() -> None:
    with receiving() as receiver, httpx2.Client(follow_redirects=True) as client:
        receiver.answer = lambda _: (307, {"Location": METADATA})  # the tests' guard of sockets would tell of a request
        webhook = Webhook(parse_receiver(receiver.url, SECRET), client, clock=lambda: 0.0)
        with pytest.raises(Unreachable) as refused:
            webhook.send("alert_1", b"{}")
    assert refused.value.reasons[0].code == "webhook-refused"
    assert len(receiver.got) == 1


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"])
def test_a_name_that_leads_to_a_metadata_address_is_sent_nothing(address: str) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(f"{request.url} was asked")

    receiver = parse_receiver("https://receiver.example/hook", SECRET)
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        webhook = Webhook(receiver, client, clock=lambda: 0.0, resolve=lambda _: ["203.0.113.7", address])
        with pytest.raises(Unreachable) as refused:
            webhook.send("alert_1", b"{}")
    assert refused.value.reasons[0].code == "webhook-address"


def test_an_alert_that_was_recorded_cannot_be_passed_off_as_new() -> None:
    with receiving() as receiver, httpx2.Client() as client:
        moments = iter((1_790_000_000.0, 1_790_000_600.0))
        webhook = Webhook(parse_receiver(receiver.url, SECRET), client, clock=lambda: next(moments))
        webhook.send("alert_1", b"{}")
        webhook.send("alert_1", b"{}")
    first, second = receiver.got
    assert first.is_signed()
    assert second.is_signed()
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    first.headers["webhook-timestamp"] = second.headers["webhook-timestamp"]
    assert not first.is_signed()
