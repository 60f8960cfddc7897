"""Distribution Spec 1.1, "Content Discovery": listing tags."""

from __future__ import annotations

import re

import httpx2
import pytest

from tests.registry.distribution.oci import codes, image, unique
from tests.registry.world import AGENT, READER, World

TAGS = f"/v2/{AGENT}/tags/list"
NAMES = ["image", "image-2", "image_1", "image2", "Index", "v-next", "tagtest0", "_under", "1st", "1.0.0", "1.0.0-rc.1"]
IN_ORDER = sorted(NAMES, key=str.lower)  # the spec: "lexical order (i.e. case-insensitive alphanumeric order)"


@pytest.fixture
def tagged(publisher: httpx2.Client) -> httpx2.Client:
    content = image()
    content.push(publisher, AGENT)
    for name in NAMES:
        assert content.put(publisher, AGENT, name).status_code == 201
    return publisher


def next_link(answer: httpx2.Response) -> str | None:
    """Where the next page is, from a Link header of RFC 5988."""
    if "link" not in answer.headers:
        return None
    match = re.fullmatch(r'<([^>]+)>; ?rel="next"', answer.headers["link"])
    assert match is not None
    return match[1]


def test_tags_are_listed_in_order_and_n_of_zero_is_an_empty_list_without_a_link(tagged: httpx2.Client) -> None:
    answer = tagged.get(TAGS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"name": AGENT, "tags": IN_ORDER}
    none = tagged.get(TAGS, params={"n": "0"})
    assert (none.status_code, none.json()) == (200, {"name": AGENT, "tags": []})
    assert "link" not in none.headers


def test_n_bounds_a_page_and_link_leads_through_all(tagged: httpx2.Client) -> None:
    for n in (1, 3, len(NAMES) - 1, len(NAMES), len(NAMES) + 1):
        pages: list[list[str]] = []
        where: str | None = f"{TAGS}?n={n}"
        while where is not None:
            answer = tagged.get(where)
            pages.append(answer.json()["tags"])
            where = next_link(answer)
            assert (len(pages[-1]) == n) or where is None, "fewer than n only on the last page"
        assert [tag for page in pages for tag in page] == IN_ORDER


def test_last_gives_what_comes_after_it_alone_or_with_n(tagged: httpx2.Client) -> None:
    for number, name in enumerate(IN_ORDER):
        assert tagged.get(TAGS, params={"last": name}).json()["tags"] == IN_ORDER[number + 1 :]
        assert tagged.get(TAGS, params={"last": name, "n": "2"}).json()["tags"] == IN_ORDER[number + 1 : number + 3]
    assert tagged.get(TAGS, params={"last": "image-10"}).json()["tags"] == IN_ORDER[IN_ORDER.index("image-2") :]


def test_n_that_is_no_number_is_a_bad_request(publisher: httpx2.Client) -> None:
    for n in ("-1", "many", "1e3"):
        assert publisher.get(TAGS, params={"n": n}).status_code == 400


def test_a_repository_without_tags_is_an_empty_list_or_unknown(publisher: httpx2.Client) -> None:
    answer = publisher.get(TAGS)
    assert (answer.status_code, codes(answer)) == (404, ["NAME_UNKNOWN"])
    image(unique()).push(publisher, AGENT)
    assert publisher.get(TAGS).status_code in (200, 404)


def test_working_tags_are_listed_for_publishers_alone(registry: World, tagged: httpx2.Client) -> None:
    for somebody in (registry.client(READER), registry.client(None)):
        assert somebody.get(TAGS).json()["tags"] == ["1.0.0", "1.0.0-rc.1"]
        assert somebody.get(TAGS, params={"n": "1"}).json()["tags"] == ["1.0.0"]
        assert somebody.get(TAGS, params={"last": "1.0.0"}).json()["tags"] == ["1.0.0-rc.1"]
    assert len(tagged.get(TAGS).json()["tags"]) == len(NAMES)
