"""The table: every endpoint of `openapi.yaml` and `/v2/`, every kind of caller, and each state where that matters.

Executed against a running registry with a charter and a policy. An endpoint without a row fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.registry.access.test_routes import ROUTES
from tests.registry.admission.world import GateWorld, codes_of
from tests.registry.promotion.world import POLICY, PROMOTIONS, Promotions
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB
from tidegate.digest import Digest
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.rights import AccessRules

Json = dict[str, Any]

# A stranger is somebody with a good token whom nothing names, in a registry that shows releases to those only whom
# something names. A reader is the same person where everyone who is logged in may read.
CALLERS = (
    "anonymous",
    "stranger",
    "reader",
    "attester",
    "publisher",
    "approver",
    "break-glass",
    "release manager",
    "policy editor",
)  # the columns, from left to right
# 1: log in or get a token for it (401) · 3: not you (403) · 4: there is no such thing, for you (404)
# x: let in, and too late: it is closed, or there already (409)
# +: let in; what is asked for is then judged by itself, and may still be refused
TABLE = """
GET    /healthz                                                           | + + + + + + + + +
GET    /readyz                                                            | + + + + + + + + +
GET    /metrics                                                           | + + + + + + + + +
GET    /v2/token                                                          | 1 1 1 1 1 1 1 1 1
POST   /v2/token                                                          | + + + + + + + + +
GET    /v2/                                                               | 1 + + + + + + + +
GET    /v2/{name:path}/tags/list                                          | 1 3 + + + + + + +
GET    /v2/{name:path}/referrers/{digest} [released]                      | 1 3 + + + + + + +
GET    /v2/{name:path}/referrers/{digest} [quarantined]                   | 1 3 + + + + + + +
POST   /v2/{name:path}/blobs/uploads/                                     | 1 3 3 + + + + 3 3
GET    /v2/{name:path}/blobs/uploads/{session}                            | 1 3 3 4 + 4 4 3 3
PATCH  /v2/{name:path}/blobs/uploads/{session}                            | 1 3 3 4 + 4 4 3 3
PUT    /v2/{name:path}/blobs/uploads/{session}                            | 1 3 3 4 + 4 4 3 3
DELETE /v2/{name:path}/blobs/uploads/{session}                            | 1 3 3 4 4 4 4 3 3
GET    /v2/{name:path}/blobs/{digest} [blob]                              | 1 3 + + + + + + +
GET    /v2/{name:path}/blobs/{digest} [absent]                            | 1 3 4 4 4 4 4 4 4
HEAD   /v2/{name:path}/blobs/{digest} [blob]                              | 1 3 + + + + + + +
HEAD   /v2/{name:path}/blobs/{digest} [absent]                            | 1 3 4 4 4 4 4 4 4
DELETE /v2/{name:path}/blobs/{digest}                                     | + + + + + + + + +
GET    /v2/{name:path}/manifests/{reference} [released]                   | 1 3 + + + + + + +
GET    /v2/{name:path}/manifests/{reference} [quarantined]                | 1 3 4 + + + + 4 4
GET    /v2/{name:path}/manifests/{reference} [1.0.0]                      | 1 3 + + + + + + +
GET    /v2/{name:path}/manifests/{reference} [absent]                     | 1 3 4 4 4 4 4 4 4
HEAD   /v2/{name:path}/manifests/{reference} [released]                   | 1 3 + + + + + + +
HEAD   /v2/{name:path}/manifests/{reference} [quarantined]                | 1 3 4 + + + + 4 4
HEAD   /v2/{name:path}/manifests/{reference} [1.0.0]                      | 1 3 + + + + + + +
HEAD   /v2/{name:path}/manifests/{reference} [absent]                     | 1 3 4 4 4 4 4 4 4
PUT    /v2/{name:path}/manifests/{reference} [1.0.0]                      | 1 3 3 3 + 3 3 3 3
DELETE /v2/{name:path}/manifests/{reference}                              | + + + + + + + + +
GET    /api/v1/login-options                                              | + + + + + + + + +
POST   /api/v1/enrolments                                                 | 1 3 3 3 3 3 3 3 +
POST   /api/v1/enrolments/redemption                                      | + + + + + + + + +
GET    /api/v1/whoami                                                     | 1 + + + + + + + +
GET    /api/v1/agents                                                     | 1 + + + + + + + +
GET    /api/v1/namespaces/{namespace}/usage                               | 1 4 4 + + + + 4 4
GET    /api/v1/agents/{namespace}/{agent}                                 | 1 3 + + + + + + +
POST   /api/v1/agents/{namespace}/{agent}/uploads                         | 1 3 3 + + + + 3 3
POST   /api/v1/agents/{namespace}/{agent}/uploads/parts                   | 1 3 3 4 4 4 4 3 3
POST   /api/v1/agents/{namespace}/{agent}/uploads/commit                  | 1 3 3 + + + + 3 3
GET    /api/v1/agents/{namespace}/{agent}/uploads/{session}               | 1 3 3 4 4 4 4 3 3
GET    /api/v1/agents/{namespace}/{agent}/diff                            | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/releases                        | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/releases/{version}              | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/releases/{version}/evidence     | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/evidence/{digest} [released]    | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/evidence/{digest} [quarantined] | 1 3 4 + + + + 4 4
GET    /api/v1/policies                                                   | 1 3 + + + + + + +
GET    /api/v1/policies/{name}                                            | 1 3 + + + + + + +
GET    /api/v1/policies/{name}/versions                                   | 1 3 + + + + + + +
GET    /api/v1/policies/{name}/versions/{number}                          | 1 3 + + + + + + +
GET    /api/v1/policies/{name}/proposals                                  | 1 3 + + + + + + +
POST   /api/v1/policies/{name}/proposals                                  | 1 3 3 3 3 3 + + +
GET    /api/v1/policies/{name}/proposals/{proposal}                       | 1 3 + + + + + + +
POST   /api/v1/policies/{name}/proposals/{proposal}/approvals             | 1 3 3 3 3 3 + + +
POST   /api/v1/policies/{name}/proposals/{proposal}/application           | 1 3 3 3 3 3 + + +
POST   /api/v1/policies/{name}/reverts                                    | 1 3 3 3 3 3 + + +
POST   /api/v1/policies/{name}/what-if                                    | 1 3 3 3 3 3 + + +
POST   /api/v1/promotions                                                 | 1 3 3 3 + + + + +
POST   /api/v1/promotions [emergency]                                     | 1 3 3 3 3 3 + 3 3
GET    /api/v1/promotions                                                 | 1 + + + + + + + +
GET    /api/v1/promotions/{promotion} [closed]                            | 1 4 + + + + + + +
GET    /api/v1/promotions/{promotion} [open]                              | 1 4 + + + + + + +
GET    /api/v1/promotions/{promotion}/decisions [closed]                  | 1 4 3 + + + + + +
GET    /api/v1/promotions/{promotion}/decisions [open]                    | 1 4 3 + + + + + +
POST   /api/v1/promotions/{promotion}/approvals [closed]                  | 1 4 3 3 3 4 3 3 3
POST   /api/v1/promotions/{promotion}/approvals [open]                    | 1 4 3 3 3 4 3 3 3
POST   /api/v1/promotions/{promotion}/rejection [closed]                  | 1 4 3 3 3 x x x x
POST   /api/v1/promotions/{promotion}/rejection [open]                    | 1 4 3 3 3 + 3 + 3
POST   /api/v1/promotions/{promotion}/withdrawal [closed]                 | 1 4 3 3 x x x x x
POST   /api/v1/promotions/{promotion}/withdrawal [open]                   | 1 4 3 3 3 3 3 + +
GET    /api/v1/agents/{namespace}/{agent}/channels                        | 1 3 + + + + + + +
GET    /api/v1/agents/{namespace}/{agent}/channels/{channel}              | 1 3 + + + + + + +
POST   /api/v1/agents/{namespace}/{agent}/channels/{channel}/rollback     | 1 3 3 3 x x x x x
DELETE /api/v1/agents/{namespace}/{agent}/channels/{channel}/hold         | 1 3 3 3 + 4 4 4 4
POST   /api/v1/revocations                                                | 1 3 3 3 4 4 4 4 4
GET    /api/v1/log/entries                                                | 1 3 3 3 3 3 3 3 +
GET    /api/v1/log/entries/{entry}                                        | 1 3 3 3 3 3 3 3 4
GET    /log/checkpoint                                                    | 4 4 4 4 4 4 4 4 4
HEAD   /log/checkpoint                                                    | 4 4 4 4 4 4 4 4 4
GET    /log/tile/{path:path} [0/000]                                      | 4 4 4 4 4 4 4 4 4
HEAD   /log/tile/{path:path} [0/000]                                      | 4 4 4 4 4 4 4 4 4
GET    /log/tile/entries/{path:path} [000]                                | 1 3 3 3 3 3 3 3 4
HEAD   /log/tile/entries/{path:path} [000]                                | 1 3 3 3 3 3 3 3 4
GET    /log/entries/{path:path} [000]                                     | + + + + + + + + +
GET    /log/objects/{algorithm}/{shard}/{digits}                          | 1 3 3 3 3 3 3 3 4
HEAD   /log/objects/{algorithm}/{shard}/{digits}                          | 1 3 3 3 3 3 3 3 4
GET    /api/v1/revocations                                                | 1 + + + + + + + +
GET    /api/v1/break-glass                                                | 1 + + + + + + + +
POST   /api/v1/break-glass/{promotion}/review [closed]                    | 1 4 4 4 4 4 4 4 4
POST   /api/v1/break-glass/{promotion}/review [used]                      | 1 4 3 3 3 3 3 + x
"""


def person(name: str, *groups: str) -> Json:
    email = f"{name}@sandbox.example"
    return {"sub": name, "email": email, "email_verified": True, "groups": list(groups)}


WHO: dict[str, Any] = {
    "stranger": person("mallory"),
    "reader": person("mallory"),
    "attester": EVALS_JOB,
    "publisher": RELEASE_JOB,
    "approver": person("erin"),
    "break-glass": person("frank", "admins"),  # the charter names whose signature counts, the policy who may ask
    "release manager": person("hans", "release-managers"),
    "policy editor": person("gina"),
}
WHOLE = "{{issuer: ISSUER, identity: {}@sandbox.example}}"
CLAIM = "{{issuer: ISSUER, claims: {{identity: {}@sandbox.example}}}}"
SCOPES = (f"repository:{AGENT}:pull,push,promote", "registry:api:*,manage")
TWO_EDITORS = (
    POLICY.replace("editors: {allow: [admin]}", "editors: {allow: [editor], approvals: 1}")
    .replace(
        "persons:\n", "".join(["persons:\n", *(f"  {name}: [{WHOLE.format(name)}]\n" for name in ("gina", "ida"))])
    )
    .replace("roles:\n", f"roles:\n  editor: [{', '.join(CLAIM.format(name) for name in ('gina', 'ida'))}]\n")
)
AT_THE_DOOR = {"role-missing", "not-in-charter", "no-charter"}


@dataclass
class Stage:
    """The registry under test, and what the rows are about."""

    promotions: Promotions
    clients: dict[str, httpx2.Client] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)

    @property
    def gate(self) -> GateWorld:
        return self.promotions.gate

    def build(self) -> None:
        """Releases, a manifest in quarantine, an upload, a proposal, requests open and closed, broken glass."""
        erin, frank = (self.promotions.approver(name) for name in ("erin", "frank"))
        approvals = {"dev": 0, "staging": 1, "stable": 1}
        self.promotions.govern(approvers=(erin,), approvals=approvals, break_glass=(frank,))
        self.promotions.install(TWO_EDITORS)
        self.clients = {name: self.gate.client(who, *SCOPES) for name, who in WHO.items()}
        self.clients["anonymous"] = httpx2.Client(base_url=self.gate.url, trust_env=False, timeout=30)
        released, _, _ = (self.promotions.publish(version) for version in ("1.0.0", "1.1.0", "1.2.0"))
        publisher = self.clients["publisher"]
        quarantined = self.gate.bundle_for()
        self.gate.push(publisher, quarantined)
        upload = publisher.post(f"/v2/{AGENT}/blobs/uploads/").headers["location"]
        config = released.config.digest if released.config else Digest.of(b"")
        referrers = publisher.get(f"/v2/{AGENT}/referrers/{released.digest}").json()["manifests"]
        self.things = {
            "released": str(released.digest),
            "quarantined": str(quarantined.digest),
            "version": "1.0.0",
            "blob": str(config),
            "absent": str(Digest.of(b"nobody has this")),
            "evidence": str(referrers[0]["digest"]),
            "session": upload.rpartition("/")[2].partition("?")[0],
            "closed": self.opened("dev"),
            "open": self.opened("staging"),
            "used": self.broken("1.1.0"),
            "emergency": self.opened("stable", "break-glass", version="1.2.0", breakGlass=True),
            "proposal": self.proposed(),
        }

    def opened(self, channel: str, by: str = "release manager", **more: object) -> str:
        """Open a request; without approvals to wait for, as in `dev`, it is done at once."""
        wanted = {"agent": AGENT, "version": "1.0.0", "channel": channel, **more}
        answer = self.clients[by].post(PROMOTIONS, json=wanted)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def broken(self, version: str) -> str:
        """Break the glass; a second person has to look at it."""
        promotion = self.opened("stable", "break-glass", version=version, breakGlass=True)
        shown = self.clients["break-glass"].get(f"{PROMOTIONS}/{promotion}").json()
        answer = self.promotions.break_glass(WHO["break-glass"], shown)
        assert answer.status_code == 201, answer.text
        return promotion

    def proposed(self) -> str:
        current = self.clients["policy editor"].get("/api/v1/policies/_company")
        body = {"document": current.json()["text"] + "\n# better\n", "reason": "better"}
        headers = {"If-Match": current.headers["etag"]}
        answer = self.clients["policy editor"].post("/api/v1/policies/_company/proposals", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    @contextmanager
    def seen_by(self, caller: str) -> Iterator[httpx2.Client]:
        """A client of that caller; to a stranger the registry is closed."""
        access = self.gate.services.access
        assert isinstance(access, Gatekeeper)
        before = access.rules
        access.rules = AccessRules(authenticated_pull=caller != "stranger")
        yield self.clients[caller]
        access.rules = before

    def ask(self, method: str, path: str, state: str, caller: str) -> str:
        """Give the class of the answer."""
        if (state, method) == ("open", "POST"):
            self.things["open"] = self.opened("staging")  # the one before may be closed by now
        with self.seen_by(caller) as client:
            answer = client.request(method, self.fill(path, state), **self.request(method, path, state))
        if found := {401: "1", 404: "4", 409: "x"}.get(answer.status_code):
            return found
        if answer.status_code == 403 and (method == "HEAD" or AT_THE_DOOR.intersection(codes_of(answer))):
            return "3"
        # the trust of this registry is replaced in memory, and readiness looks at the file that is not there
        assert answer.status_code < 500, (method, path, caller, answer.text)
        return "+"

    def fill(self, path: str, state: str) -> str:
        namespace, _, agent = AGENT.partition("/")
        thing = self.things.get(state, state)
        names = {
            "name:path": AGENT,
            "namespace": namespace,
            "agent": agent,
            "digest": thing if state else self.things["released"],
            "reference": thing if state else self.things["version"],
            "version": "1.0.0",
            "session": self.things["session"],
            "name": "_company",
            "number": "1",
            "proposal": self.things["proposal"],
            "promotion": thing if state else self.things["closed"],
            "channel": "dev",
            "path:path": state,
            "entry": "999999",
            "algorithm": "sha256",
            "shard": "00",
            "digits": "0" * 64,
        }
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", value)
        return path

    def request(self, method: str, path: str, state: str) -> Json:
        """A body that is well-formed and changes nothing that another row rests on."""
        reason, absent = {"reason": "for a test"}, self.things["absent"]
        blobs = {"blobs": [{"digest": absent, "size": 1}]}
        here = {"agent": AGENT, "version": "1.0.0"}
        bodies: dict[str, object] = {
            "/uploads": blobs,
            "/uploads/commit": blobs,
            "/uploads/parts": {"session": self.things["session"], "parts": [{"number": 1, "sha256": absent}]},
            "/enrolments": {"purpose": "host", "name": "edge"},
            "/redemption": {"purpose": "host", "name": "edge", "token": "x"},
            "/proposals": {"document": "x", **reason},
            "/reverts": {"number": 1, **reason},
            "/what-if": {"document": "x"},
            "/promotions": {**here, "channel": "stable", "breakGlass": state == "emergency"},
            "/promotions/{promotion}/approvals": {"manifest": absent},
            "/rejection": reason,
            "/withdrawal": {},
            "/rollback": reason,
            "/hold": reason,
            "/revocations": {"agent": AGENT, "version": "0.0.9", **reason},
            "/review": {"verdict": "justified", **reason},
        }
        found = [body for suffix, body in bodies.items() if path.endswith(suffix)]
        if method in ("POST", "DELETE") and path.startswith("/api/") and found:
            return {"json": found[0]}
        query = {"from": "1.0.0", "to": "1.0.0", "agent": AGENT} if method == "GET" else {"digest": absent}
        return {"params": query} if path.startswith("/api/") or "{session}" in path else {}


@pytest.fixture
def stage(gate_world: GateWorld) -> Iterator[Stage]:
    stage = Stage(Promotions(gate_world))
    stage.build()
    yield stage
    stage.clients["anonymous"].close()


def rows() -> Iterator[tuple[tuple[str, str, str], str]]:
    for line in TABLE.strip().splitlines():
        route, _, classes = line.partition("|")
        method, path, *state = route.split()
        yield (method, path, " ".join(state).strip("[]")), "".join(classes.split())


def test_every_endpoint_has_a_row() -> None:
    assert len(dict(rows())) == len(list(rows()))
    covered = {(method, path) for method, path, _ in dict(rows())}
    assert covered == ROUTES.keys()
    document = yaml.safe_load((Path(__file__).parents[3] / "openapi.yaml").read_text(encoding="utf-8"))
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(method, path.replace(":path", "")) for method, path in covered} == described


def test_every_caller_gets_what_the_table_says(stage: Stage) -> None:
    expected = dict(rows())
    found: dict[tuple[str, str, str], str] = {
        row: "".join(stage.ask(*row, caller) for caller in CALLERS) for row in expected
    }
    assert found == expected
