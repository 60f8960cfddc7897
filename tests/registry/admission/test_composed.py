"""The application as an operator runs it: settings, a key file and a trust file, and nothing made by a test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from pydantic import SecretStr

from tests.fixtures_sandbox import Sigstores
from tests.forge import dump
from tests.processes import write_trust
from tests.registry.access.issuer import NO_TLS
from tests.registry.admission.world import codes_of
from tests.registry.world import store_settings
from tests.workshop import AGENT, RELEASE_JOB, VERSION, Workshop
from tidegate.digest import Digest
from tidegate.errors import InvalidInput
from tidegate.formats.charter import CharterSet
from tidegate.formats.manifest import EMPTY_BLOB, Manifest, evidence_manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate_registry.access.compose import open_gatekeeper
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.token_keys import create_token_key
from tidegate_registry.app import create_app
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.serve import ServerThread
from tidegate_registry.services import utc_now
from tidegate_registry.settings import Mode, Settings

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint


def test_a_registry_made_of_settings_admits_and_follows_its_trust_file(
    sigstores: Sigstores, s3: S3Endpoint, database_url: str, tmp_path: Path
) -> None:
    shop = Workshop(sigstores.main.instance, sigstores.twin.instance, datetime.now(UTC))
    trust, key, listener = tmp_path / "trust.yaml", tmp_path / "token.pem", bind(0)
    create_token_key(key)
    write_trust(trust, shop, shop.charter)
    url = f"http://{address(listener)}"
    settings = Settings(
        mode=Mode.SANDBOX,
        allow_sandbox_roots=True,
        public_url=url,
        database_url=SecretStr(database_url),
        s3=store_settings(s3),
        trust_file=trust,
        token_key_file=key,
        issuers=(IssuerRule(issuer=shop.main.issuer.ci_url, kind="github", server_url=SERVER_URL),),
    )
    server = ServerThread(create_app(settings), listener, "composed")
    server.start()
    server.wait()
    try:
        with httpx2.Client(base_url=url, trust_env=False, verify=NO_TLS, timeout=30) as client:
            login(client, shop, url)
            publish(client, shop, VERSION)
            detail = client.get(f"/api/v1/agents/{AGENT}").json()
            assert (detail["latest"]["version"], detail["charter"]["publishers"]) == (VERSION, ["release"])
            assert client.get(f"/v2/{AGENT}/manifests/{VERSION}").status_code == 200
            stranger = shop.publisher.model_copy(update={"workflow": f"{SERVER_URL}/acme/other/.ci/workflows/x.yml"})
            write_trust(trust, shop, shop.charter.model_copy(update={"publishers": (stranger,), "attesters": ()}))
            assert codes_of(client.post(f"/v2/{AGENT}/blobs/uploads/")) == ["not-in-charter"]
    finally:
        server.stop()


def login(client: httpx2.Client, shop: Workshop, url: str) -> None:
    scope = f"repository:{AGENT}:pull,push"
    answer = client.get("/v2/token", params={"scope": scope}, auth=("oidc", shop.main.mint_token(RELEASE_JOB, url)))
    client.headers["Authorization"] = f"Bearer {answer.json()['token']}"


def publish(client: httpx2.Client, shop: Workshop, version: str) -> None:
    blobs, manifests = [EMPTY_BLOB], [(shop.manifest, "")]
    for payload, kind in (
        (shop.release_statement(version=version), PREDICATE_RELEASE),
        (shop.provenance_statement(), PREDICATE_SLSA_PROVENANCE),
    ):
        raw = dump(shop.sign(payload))
        blobs.append(raw)
        manifests.append((evidence_manifest(raw, shop.manifest.descriptor, kind), ""))
    manifests.append((shop.manifest, version))
    for blob in blobs:
        sent = client.post(f"/v2/{AGENT}/blobs/uploads/", params={"digest": Digest.of(blob)}, content=blob)
        assert sent.status_code == 201, sent.text
    for manifest, reference in manifests:
        put(client, manifest, reference or manifest.digest)


def put(client: httpx2.Client, manifest: Manifest, reference: str) -> None:
    answer = client.put(
        f"/v2/{AGENT}/manifests/{reference}", content=manifest.raw, headers={"Content-Type": manifest.media_type}
    )
    assert answer.status_code == 201, answer.text


def test_production_does_not_start_without_a_token_key() -> None:
    settings = Settings(mode=Mode.PRODUCTION)
    with httpx2.Client(verify=NO_TLS) as http, pytest.raises(InvalidInput) as caught:
        open_gatekeeper(settings, charters=lambda: CharterSet(()), http=http, clock=utc_now)
    assert caught.value.reasons[0].code == "key-file-missing"
