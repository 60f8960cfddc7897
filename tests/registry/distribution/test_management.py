"""Distribution Spec 1.1, "Content Management": deletes are disabled, which it allows by answering 405."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.distribution.oci import codes, digest_of, image, unique
from tests.registry.world import AGENT, READER, World


@pytest.mark.parametrize("reference", ["image", "1.0.0"], ids=["working tag", "version"])
def test_nothing_is_deleted_and_all_of_it_stays(publisher: httpx2.Client, reference: str) -> None:
    content = image(unique())
    content.push(publisher, AGENT, reference)
    manifests, blobs = f"/v2/{AGENT}/manifests", f"/v2/{AGENT}/blobs"
    for path in (
        f"{manifests}/{reference}",
        f"{manifests}/{content.digest}",
        *(f"{blobs}/{digest_of(blob)}" for blob in content.blobs),
    ):
        answer = publisher.delete(path)
        assert (answer.status_code, codes(answer)) == (405, ["UNSUPPORTED"])
        assert publisher.head(path).status_code == 200


def test_a_delete_says_the_same_of_what_is_not_there_and_to_whom_it_is_none_of_their_business(
    registry: World, publisher: httpx2.Client
) -> None:
    content = image(unique())
    content.push(publisher, AGENT)
    for client in (publisher, registry.client(READER), registry.client(None)):
        for digest in (content.digest, digest_of(b"nothing")):
            assert client.delete(f"/v2/{AGENT}/manifests/{digest}").status_code == 405
            assert client.delete(f"/v2/{AGENT}/blobs/{digest}").status_code == 405
