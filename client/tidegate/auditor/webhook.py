"""Alerts as signed HTTP requests, in the form of Standard Webhooks 1.0. Spec page: docs/spec/alerts.md.

The receiver's address is the operator's own wish, so private networks are good; its answers are not: no redirect is
followed, little of an answer is read, and what a name leads to is looked at before anything is sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from tidegate.errors import InvalidInput, Unreachable
from tidegate.remote.address import is_loopback
from tidegate.remote.stores import Resolve, addresses, is_never_sent_to, resolve

if TYPE_CHECKING:
    import httpx2

MAX_URL = 2048
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # Standard Webhooks 1.0, "Signature scheme"
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret; Standard Webhooks 1.0
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0  # Standard Webhooks 1.0 advises 15 to 30 s
MAX_ANSWER_BYTES = 4 << 10  # nothing in an answer is needed; this much lets the connection be used again


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where alerts are sent. `secret`: what they are signed with. Made by `parse_receiver`."""

    url: str
    secret: bytes

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: no proxy knows it."""
        return is_loopback(urlsplit(self.url).hostname or "")


def parse_receiver(url: str, secret: str, *, plain_http: bool = False) -> Receiver:
    """Check a receiver's URL and secret (`whsec_` and base64, or that base64 alone).

    https, or http to this machine; `plain_http` allows http elsewhere, and only an explicit wish of the user may set
    it. Raises InvalidInput (codes "webhook-url", "webhook-secret").
    """
    import httpx2

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _, _ = parts.port, httpx2.URL(url)  # what cannot be asked for is refused now, not at the first alert
    except (ValueError, httpx2.InvalidURL):
        parts, host = urlsplit(""), ""
    good = parts.scheme == "https" or (parts.scheme == "http" and (is_loopback(host) or plain_http))
    legible = len(url) <= MAX_URL and url.isascii() and url.isprintable() and " " not in url
    if not (legible and good and host) or "@" in parts.netloc or parts.fragment:
        raise InvalidInput(
            "alerts cannot be sent there",
            code="webhook-url",
            found=url[:200],
            expected="an https URL without a user in it, or an http one of this machine",
            hint="let a receiver on another machine take http with --webhook-plain-http, if you trust the way there",
        )
    return Receiver(url, _secret(secret))


class Webhook:
    """Sends to one receiver, once for each call; who calls decides how often. `clock`: seconds since 1970."""

    def __init__(
        self,
        receiver: Receiver,
        client: httpx2.Client,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = resolve,
    ) -> None:
        self._receiver, self._client, self._resolve = receiver, client, resolve
        self._clock, self._monotonic = clock, monotonic

    def send(self, message: str, body: bytes) -> None:
        """POST `body`, a JSON document. `message`: its id, the same whenever the same alert is sent.

        Returns when the receiver answered 2xx. Raises Unreachable: "webhook-refused" for any other answer,
        "webhook-unreachable" for none, "webhook-address" where nothing is ever sent.
        """
        import httpx2

        self._check_address()
        headers = {"Content-Type": "application/json", **self._signed(message, body)}
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        try:
            with self._client.stream(
                "POST", self._receiver.url, content=body, headers=headers, timeout=timeout, follow_redirects=False
            ) as response:
                status = response.status_code
                deadline, read = self._monotonic() + ANSWER_SECONDS, 0
                for chunk in response.iter_raw():  # as it comes: whoever drips it must not hold us up
                    read += len(chunk)
                    if read >= MAX_ANSWER_BYTES or self._monotonic() > deadline:
                        break
        except httpx2.TransportError as error:
            raise self._failed("webhook-unreachable", "does not answer", str(error) or type(error).__name__) from error
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._failed("webhook-refused", "does not take alerts", f"status {status}", "a status 2xx")

    def _check_address(self) -> None:
        host = urlsplit(self._receiver.url).hostname or ""
        try:
            found = addresses(host, self._resolve)
        except (OSError, UnicodeError) as error:
            if getproxies() and not is_loopback(host):
                return  # names outside are the proxy's business
            raise self._failed("webhook-unreachable", "has no address", host) from error
        if any(is_never_sent_to(each) for each in found):
            raise self._failed(
                "webhook-address", "is where nothing is sent", ", ".join(map(str, found)), "an address of a receiver"
            )

    def _signed(self, message: str, body: bytes) -> dict[str, str]:
        moment = str(int(self._clock()))
        signed = b".".join((message.encode(), moment.encode(), body))
        mac = hmac.new(self._receiver.secret, signed, hashlib.sha256).digest()
        return {
            "webhook-id": message,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
        }

    def _failed(self, code: str, what: str, found: str, expected: str | None = None) -> Unreachable:
        parts = urlsplit(self._receiver.url)  # without the path: receivers like to keep secrets there
        where = f"{parts.scheme}://{parts.netloc}"
        return Unreachable(f"the webhook at {where} {what}", code=code, found=found[:200], expected=expected)


def _secret(text: str) -> bytes:
    try:
        found = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not MIN_SECRET_BYTES <= len(found) <= MAX_SECRET_BYTES:
        raise InvalidInput(
            "that is no secret for signing alerts",
            code="webhook-secret",
            expected=f"{SECRET_PREFIX} and base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes",
            hint='make one with: echo "whsec_$(openssl rand -base64 32)"',
        )
    return found
