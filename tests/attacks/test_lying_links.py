"""A registry points its publisher somewhere else than to its store: links are wishes of a stranger."""

from __future__ import annotations

import io

import pytest

from tests.client.remote.fake_registry import HOST, NAME, FakeRegistry, blob
from tests.client.remote.fake_store import FakeStore
from tidegate.errors import Unreachable

PUBLIC, OFFICE = "registry.example", "registry.corp.example"


def push(store: FakeStore) -> None:
    store.fake.registry().push_blobs(NAME, [blob(b"data")], lambda _: io.BytesIO(b"data"))


def lying(registry: str, url: str, address: str = "", headers: dict[str, object] | None = None) -> FakeStore:
    hosts = {OFFICE: ["10.1.2.3"], "store.corp.example": ["10.9.9.9"]}
    hosts |= {"evil.example": ["93.184.215.14", address]} if address else {}
    return FakeStore(FakeRegistry(host=registry, hosts=hosts), url=url, headers=headers)


@pytest.mark.parametrize("registry", [HOST, PUBLIC, OFFICE])
@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://169.254.169.254/latest/api", ""),
        ("https://evil.example", "169.254.169.254"),
        ("https://evil.example", "fd00:ec2::254"),
        ("https://evil.example", "fe80::1%eth0"),
        ("https://evil.example", "::ffff:169.254.169.254"),
        ("https://evil.example", "64:ff9b::a9fe:a9fe"),
        ("https://evil.example", "2002:a9fe:a9fe::1"),
        ("https://evil.example", "100.100.100.200"),
        ("https://evil.example", "168.63.129.16"),
        ("https://[::]/", ""),
        ("https://evil.example", "0.0.0.0"),  # noqa: S104 - an address to refuse
        ("https://evil.example", "224.0.0.1"),
    ],
)
def test_no_registry_may_send_us_to_what_gives_out_a_machines_secrets(registry: str, url: str, address: str) -> None:
    store = lying(registry, url, address)
    with pytest.raises(Unreachable) as caught:
        push(store)
    assert caught.value.reasons[0].code == "store-refused"
    assert store.puts == []


@pytest.mark.parametrize(
    ("registry", "url", "address"),
    [
        (PUBLIC, "https://127.0.0.1:8200", ""),
        (PUBLIC, "https://evil.example", "127.0.0.1"),
        (PUBLIC, "https://evil.example", "::1"),
        (PUBLIC, "https://evil.example", "10.0.0.7"),
        (PUBLIC, "https://evil.example", "100.64.0.1"),
        (PUBLIC, "https://evil.example", "fd12::1"),
        (OFFICE, "https://evil.example", "127.0.0.1"),
        (OFFICE, "https://[::1]", ""),
    ],
)
def test_no_registry_may_send_us_further_inside_than_it_is_itself(registry: str, url: str, address: str) -> None:
    store = lying(registry, url, address)
    with pytest.raises(Unreachable) as caught:
        push(store)
    assert caught.value.reasons[0].code == "store-refused"
    assert store.puts == []


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        (OFFICE, "https://store.corp.example"),
        (HOST, "https://store.corp.example"),
        (HOST, "http://localhost.example"),
        (PUBLIC, "https://store.example"),
    ],
)
def test_a_store_beside_its_registry_is_good(registry: str, url: str) -> None:
    store = lying(registry, url)
    push(store)
    assert len(store.puts) == 1


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        (PUBLIC, "http://store.example"),
        (HOST, "file:///etc"),
        (HOST, "//store.example"),
        (HOST, "http://user:password@store.example"),
        (HOST, "http://store.example\\@169.254.169.254"),
        (HOST, "http://stoße.example"),
        (HOST, "http://store.example/ HTTP/1.1\r\nHost: x"),
        (HOST, "http://[::1"),
        (HOST, f"http://store.example/{'x' * 9000}"),
    ],
)
def test_links_that_are_no_plain_link_to_a_server_are_refused(registry: str, url: str) -> None:
    store = lying(registry, url)
    with pytest.raises(Unreachable) as caught:
        push(store)
    assert caught.value.reasons[0].code == "store-refused"
    assert store.puts == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic eDp5"},
        {"Host": "vault.internal"},
        {"X-Vault-Token": "x"},
        {"Cookie": "a=b"},
        {"Transfer-Encoding": "chunked"},
        {"Metadata-Flavor": "Google"},
        {"x-amz-a": "b\r\nMetadata: true"},
        {"x-amz-a": "b" * 2000},
        {"Content-Length": "5"},
        {f"x-amz-{number}": "" for number in range(30)},
    ],
    ids=range(10),
)
def test_a_link_adds_no_header_that_means_something_to_another_server(headers: dict[str, object]) -> None:
    store = lying(HOST, "http://store.example", headers=headers)
    with pytest.raises(Unreachable) as caught:
        push(store)
    assert caught.value.reasons[0].code == "store-refused"
    assert store.puts == []
