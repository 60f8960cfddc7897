"""Every parser of the registry that no service stands behind, each with something it accepts."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from unittest import mock
from urllib.parse import urlencode

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from tests.client.fuzz.targets import DIGEST, MANIFEST
from tests.fuzzing import Target
from tests.registry.access.issuer import NOW, REGISTRY, alice, ec_key, github, rsa_key
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE, SIGSTORE_BUNDLE
from tidegate_registry.access.credentials import credential_of_form, parse_basic, parse_form, parse_scopes, single
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwks import FetchJson, HttpFetch, IssuerKeys
from tidegate_registry.access.jwt import parse_token, sign_token, verify_signature
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import ANONYMOUS, describe
from tidegate_registry.access.token_keys import generate_token_key, load_accepted_key, load_token_key
from tidegate_registry.access.tokens import TOKEN_TYPE, RegistryTokens
from tidegate_registry.artifacts.http.streams import parse_range
from tidegate_registry.artifacts.http.uploads import parse_content_range
from tidegate_registry.artifacts.names import parse_page, parse_repository, parse_target
from tidegate_registry.evidence.referrer import check_annotations, check_referrer, claims_evidence, refuse_legacy_tag
from tidegate_registry.settings_file import PREFIX, load_settings

ISSUER = "https://login.example"
SECONDS = int(NOW.timestamp())
TIMES: JsonObject = {"iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 300}
TOKEN_KEY = generate_token_key()
TOKENS = RegistryTokens(signing=TOKEN_KEY, audience=REGISTRY, lifetime=timedelta(minutes=5), clock=lambda: NOW)
EC_KEY = ec_key("k")
KEYS = canonical_bytes({"keys": [EC_KEY.as_dict(private=False), rsa_key("r").as_dict(private=False)]})
DISCOVERY = canonical_bytes({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
ALGORITHMS = ("ES256", "RS256", "Ed25519")
REFERRER = MANIFEST | {
    "artifactType": SIGSTORE_BUNDLE,
    "layers": [{"mediaType": SIGSTORE_BUNDLE, "digest": DIGEST, "size": 5}],
    "annotations": {"dev.sigstore.bundle.predicateType": PREDICATE_RELEASE},
}
SETTINGS = f"""\
public_url: https://registry.example
mode: sandbox
channels: [dev, stable]
s3: {{bucket: bundles, region: here}}
issuers:
  - {{issuer: "{ISSUER}", kind: email, required_claims: {{hd: acme.example}}}}
limits: {{page_entries: 7}}
"""


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: parse(raw.decode("latin-1"))  # as the server decodes headers


def _form(raw: bytes) -> object:
    form = parse_form(raw)
    return credential_of_form(form), describe(parse_scopes(form.get("scope", []))), single(form, "service")


def _registry_token(raw: bytes) -> object:
    """Whatever claims the registry's own key may ever have signed: a version before this one, or after."""
    claims = parse_object(raw, limit=1 << 14, what="claims")
    return TOKENS.verify(sign_token({"typ": TOKEN_TYPE, "kid": TOKEN_KEY.kid}, claims, TOKEN_KEY.key, "Ed25519"))


def _serving(pages: Mapping[str, bytes], *, otherwise: FetchJson | None = None) -> FetchJson:
    def fetch(url: str) -> bytes:
        return otherwise(url) if otherwise and url not in pages else pages[url]

    return fetch


def _credential(rule: IssuerRule) -> Callable[[bytes], object]:
    answers = {f"{ISSUER}/.well-known/openid-configuration": DISCOVERY, f"{ISSUER}/keys": KEYS}
    verifier = OidcVerifier([rule], audience=REGISTRY, fetch=_serving(answers), clock=lambda: NOW)

    def parse(raw: bytes) -> object:
        claims = parse_object(raw, limit=1 << 13, what="claims")
        return verifier.verify(sign_token({"kid": "k"}, claims, EC_KEY, "ES256"))

    return parse


def _token_header(raw: bytes) -> object:
    """A header that the key has signed over, whatever it says."""
    header, payload = (
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (raw, b'{"iss":"https://login.example"}')
    )
    key = TOKEN_KEY.key.private_key
    assert isinstance(key, Ed25519PrivateKey)
    signature = key.sign(header + b"." + payload)
    text = b".".join((header, payload, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()
    verify_signature(parse_token(text), TOKEN_KEY.key, "Ed25519")
    return text


def _keys(raw: bytes) -> object:
    """An issuer's keys, and the first use of each: what is wrong with a key may show only then."""
    answers = {f"{ISSUER}/.well-known/openid-configuration": DISCOVERY, f"{ISSUER}/keys": raw}
    keys = IssuerKeys(ISSUER, ALGORITHMS, _serving(answers), lambda: NOW)
    token = parse_token(sign_token({"kid": "k"}, {"iss": ISSUER}, EC_KEY, "ES256"))
    verify_signature(token, keys.key("k", "ES256"), "ES256")
    return keys


def _discovery(raw: bytes) -> object:
    """A discovery document, and a client that goes where it points."""
    pages = {f"{ISSUER}/.well-known/openid-configuration": raw}
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=iter([KEYS])))) as client:
        keys = IssuerKeys(ISSUER, ALGORITHMS, _serving(pages, otherwise=HttpFetch(client)), lambda: NOW)
        return keys.key("k", "ES256")


def _referrer(raw: bytes) -> object:
    manifest = Manifest.parse(raw)
    if not claims_evidence(manifest):
        return None
    referrer = check_referrer(manifest, limit=1 << 20)
    check_annotations(referrer, PREDICATE_RELEASE)
    return referrer.subject, referrer.claimed_type


def _reference(text: str) -> object:
    refuse_legacy_tag(text)
    return parse_target(text, channels=("dev", "stable"))


def _page(text: str) -> object:
    n, _, last = text.partition("&")
    return parse_page(n, last or None, most=100)


def _in_file(parse: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    def run(raw: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, _without_ours(), clear=True):
            path = Path(folder, name)
            path.write_bytes(raw)
            path.chmod(0o600)
            return parse(path)

    return run


def _environment(raw: bytes) -> object:
    """Variables of structured settings, one a line, as `KEY=VALUE` without the prefix."""
    lines = os.fsdecode(raw.replace(b"\0", b"")).splitlines()
    pairs = (line.partition("=") for line in lines)
    ours = {PREFIX + name: value for name, equals, value in pairs if name and equals}
    with mock.patch.dict(os.environ, _without_ours() | ours, clear=True):
        return load_settings()


def _without_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}


def _credential_seed(claims: Mapping[str, object]) -> bytes:
    return canonical_bytes({"iss": ISSUER, "aud": REGISTRY, **TIMES, **claims})


REGISTRY_TOKEN = TOKENS.issue(ANONYMOUS, parse_scopes(["repository:acme/a:pull"])).text
EMAIL = IssuerRule(issuer=ISSUER, kind="email", algorithms=("ES256",), carried_claims=("groups",))
GITHUB = IssuerRule(issuer=ISSUER, kind="github", algorithms=("ES256",))
GITLAB = IssuerRule(issuer=ISSUER, kind="gitlab", algorithms=("ES256",))
GITLAB_CLAIMS = {
    "sub": "project_path:acme/a:ref_type:tag:ref:v1",
    "project_path": "acme/a",
    "project_id": "1",
    "namespace_path": "acme",
    "namespace_id": "2",
    "ci_config_ref_uri": "gitlab.com/acme/a//.gitlab-ci.yml@refs/tags/v1",
    "ci_config_sha": "ab" * 20,
    "sha": "ab" * 20,
    "ref": "v1",
    "ref_type": "tag",
    "ref_path": "refs/tags/v1",
    "pipeline_source": "push",
    "job_id": "3",
    "runner_environment": "gitlab-hosted",
    "project_visibility": "private",
}
FORM = {"grant_type": "password", "username": "oidc", "password": "a.b.c", "scope": "repository:acme/a:pull,push"}

TARGETS = (
    Target("Basic credentials", _text(parse_basic), b"Basic " + base64.b64encode(b"oidc:a.b.c")),
    Target("token form", _form, urlencode(FORM).encode()),
    Target("scopes", _text(lambda text: parse_scopes([text])), b"repository:acme/a:pull,push registry:api:*"),
    Target("registry token", _text(TOKENS.verify), REGISTRY_TOKEN.encode()),
    Target("registry token's claims", _registry_token, canonical_bytes(parse_token(REGISTRY_TOKEN).claims)),
    Target("token's header", _token_header, canonical_bytes({"alg": "Ed25519", "kid": "k", "typ": "JWT"})),
    Target("claims of a person", _credential(EMAIL), _credential_seed(alice(groups=["a", "b"]))),
    Target("claims of a GitHub job", _credential(GITHUB), _credential_seed(github())),
    Target("claims of a GitLab job", _credential(GITLAB), _credential_seed(GITLAB_CLAIMS)),
    Target("issuer's keys", _keys, KEYS),
    Target("issuer's discovery document", _discovery, DISCOVERY),
    Target("repository", _text(parse_repository), b"acme/support-agent"),
    Target("reference", _text(_reference), b"1.2.0-rc.1"),
    Target("page", _text(_page), b"100&1.2.0"),
    Target("Content-Range", _text(parse_content_range), b"bytes 0-99/100"),
    Target("Range", _text(lambda text: parse_range(text, 1000)), b"bytes=10-99"),
    Target("referrer", _referrer, canonical_bytes(REFERRER)),
    Target("settings in YAML", _in_file(load_settings, "registry.yaml"), SETTINGS.encode()),
    Target(
        "settings in TOML",
        _in_file(load_settings, "registry.toml"),
        b'public_url = "https://r.example"\nmode = "sandbox"\n[limits]\npage_entries = 7\n[s3]\nbucket = "bundles"\n',
    ),
    Target(
        "environment", _environment, b'ISSUERS=[]\nS3__BUCKET=bundles\nCHANNELS=["dev"]\nLIMITS={"page_entries": 7}'
    ),
    Target("token key", _in_file(load_token_key, "token.pem"), OKPKey.generate_key("Ed25519").as_pem(private=True)),
    Target("accepted token key", _in_file(load_accepted_key, "accepted.pem"), EC_KEY.as_pem(private=False)),
)
