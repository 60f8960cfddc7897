"""Whose address counts: the peer's, unless it is a trusted proxy, and then what that one wrote, from the right."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tidegate_registry.client_address import MAX_HOPS, caller_group, client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7 ,10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["2001:db8:1:2:ffff::4"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9," + "10.0.0.2," * (MAX_HOPS - 1) + "10.0.0.2"], "10.0.0.2"),
        (None, ["198.51.100.7"], "unknown"),
        ("not an address", ["198.51.100.7"], "unknown"),
    ],
)
def test_the_right_most_hop_that_is_no_trusted_proxy_is_the_caller(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert caller_group(client_address(peer, forwarded, PROXIES)) == expected


def test_without_trusted_proxies_no_header_counts() -> None:
    assert caller_group(client_address("10.0.0.1", ["198.51.100.7"], ())) == "10.0.0.1"
