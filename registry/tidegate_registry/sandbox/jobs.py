"""The sandbox's CI: jobs that somebody registered, each with a bearer token that buys identity tokens.

The token endpoint follows the contract of `ACTIONS_ID_TOKEN_REQUEST_URL`, so that the `id` package, and with it
sigstore-python and cosign, find the identity by themselves. Claims have the names and forms of GitHub's CI tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import AccessDenied, LimitExceeded, Unauthenticated
from tidegate_registry.sandbox.http import UNEXPECTED_FORM, bearer_token, json_endpoint
from tidegate_registry.sandbox.issuer import Issuer

SERVER_URL = "https://git.sandbox.internal"  # the forge that the jobs claim to come from; it does not exist
JOB_LIFETIME = timedelta(hours=6)  # the longest a GitHub-hosted job may run
MAX_JOBS = 1000
JOB_TOKEN_BYTES = 32
ID_DIGITS = 9


def _form(pattern: str, expected: str) -> AfterValidator:
    """Check text against `pattern`, and say what is expected in a person's words."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if form.fullmatch(text) is None:
            raise PydanticCustomError(UNEXPECTED_FORM, "{expected}", {"expected": expected})
        return text

    return AfterValidator(check)


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
Repository = Annotated[str, _form(rf"{_NAME}/{_NAME}", "OWNER/NAME")]
Ref = Annotated[str, _form(r"refs/(heads|tags|pull)/[A-Za-z0-9._/-]{1,200}", "refs/heads/NAME or refs/tags/NAME")]
Commit = Annotated[str, _form(r"[0-9a-f]{40}([0-9a-f]{24})?", "40 or 64 hexadecimal digits")]
WorkflowPath = Annotated[str, _form(r"[A-Za-z0-9._-][A-Za-z0-9._/-]{0,200}", "a path, as .ci/workflows/release.yml")]
WorkflowRef = Annotated[str, _form(r"[A-Za-z0-9._/-]{3,400}@refs/[A-Za-z0-9._/-]{1,200}", "OWNER/NAME/PATH@REF")]
Word = Annotated[str, _form(r"[a-z][a-z0-9_-]{0,39}", "a lower-case word")]
Number = Annotated[str, _form(r"[0-9]{1,18}", "a number")]

DEFAULT_COMMIT = "5a" * 20


class JobRequest(BaseModel, extra="forbid", frozen=True):
    """A CI job as its forge would describe it.

    `job_workflow_ref` (`owner/repo/path@ref`) names a reusable workflow when the build steps are not the caller's
    own. `repository_id` and `repository_owner_id` follow from the names unless given.
    """

    repository: Repository
    ref: Ref = "refs/heads/main"
    sha: Commit = DEFAULT_COMMIT
    workflow: WorkflowPath = ".ci/workflows/release.yml"
    event: Word = "push"
    run_id: Number = "1"
    run_attempt: Number = "1"
    runner_environment: Word = "sandbox-hosted"
    ref_protected: bool = True
    job_workflow_ref: WorkflowRef | None = None
    job_workflow_sha: Commit | None = None
    repository_visibility: Word = "private"
    repository_id: Number | None = None
    repository_owner_id: Number | None = None
    actor: Word = "alice"
    environment: Word | None = None

    @property
    def owner(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def workflow_ref(self) -> str:
        return f"{self.repository}/{self.workflow}@{self.ref}"

    @property
    def signer_uri(self) -> str:
        """The certificate's subject: the workflow that holds the build steps."""
        return f"{SERVER_URL}/{self.job_workflow_ref or self.workflow_ref}"

    def claims(self) -> dict[str, object]:
        kind = {"heads": "branch", "tags": "tag"}.get(self.ref.split("/")[1], "")
        scope = "pull_request" if self.event == "pull_request" else f"ref:{self.ref}"
        if self.environment:
            scope = f"environment:{self.environment}"
        claims: dict[str, object] = {
            "sub": f"repo:{self.repository}:{scope}",
            "repository": self.repository,
            "repository_id": self.repository_id or _stable_id(self.repository),
            "repository_owner": self.owner,
            "repository_owner_id": self.repository_owner_id or _stable_id(self.owner),
            "repository_visibility": self.repository_visibility,
            "ref": self.ref,
            "ref_type": kind,
            "ref_protected": "true" if self.ref_protected else "false",
            "sha": self.sha,
            "workflow": self.workflow.rpartition("/")[2].partition(".")[0],
            "workflow_ref": self.workflow_ref,
            "workflow_sha": self.sha,
            "job_workflow_ref": self.job_workflow_ref or self.workflow_ref,
            "job_workflow_sha": self.job_workflow_sha or self.sha,
            "event_name": self.event,
            "run_id": self.run_id,
            "run_number": self.run_id,
            "run_attempt": self.run_attempt,
            "runner_environment": self.runner_environment,
            "actor": self.actor,
            "actor_id": _stable_id(self.actor),
            "base_ref": "",
            "head_ref": "",
        }
        return claims | ({"environment": self.environment} if self.environment else {})


@dataclass(frozen=True, slots=True)
class Job:
    """A registered job: its description, its bearer token, and the environment its commands run with."""

    request: JobRequest
    token: str
    expires_at: datetime
    environment: dict[str, str]


class Jobs:
    """The jobs of this run of the sandbox; none survives it. Safe from several threads."""

    def __init__(
        self, issuer: Issuer, secret: str, clock: Callable[[], datetime], entropy: Callable[[int], bytes]
    ) -> None:
        self._issuer, self._secret, self._clock, self._entropy = issuer, secret, clock, entropy
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def register(self, request: JobRequest) -> Job:
        """Start a job. Raises LimitExceeded when MAX_JOBS are alive."""
        token, now = self._entropy(JOB_TOKEN_BYTES).hex(), self._clock()
        job = Job(request, token, now + JOB_LIFETIME, self._environment(request, token))
        with self._lock:
            self._jobs = {key: value for key, value in self._jobs.items() if value.expires_at > now}
            if len(self._jobs) >= MAX_JOBS:
                raise LimitExceeded("too many CI jobs are registered", expected=f"at most {MAX_JOBS}")
            self._jobs[token] = job
        return job

    def identity_token(self, job_token: str, audience: str) -> str:
        """Give the job's identity token for `audience`. Raises Unauthenticated."""
        with self._lock:
            job = self._jobs.get(job_token)
        if job is None or job.expires_at <= self._clock():
            raise Unauthenticated("no such CI job, or it has ended")
        return self._issuer.mint(job.request.claims(), audience, issuer=self._issuer.ci_url)

    def routes(self) -> list[Route]:
        return [
            Route("/ci/jobs", json_endpoint(JobRequest, self._post_job, 201), methods=["POST"]),
            Route("/ci/token", self._get_token),
        ]

    def _post_job(self, request: Request, body: JobRequest) -> dict[str, object]:
        if not hmac.compare_digest((bearer_token(request) or "").encode(), self._secret.encode()):
            raise AccessDenied(
                "registering a CI job takes the sandbox's own secret",
                hint="use `tidegate-registry sandbox ci`, which reads it from the sandbox folder",
            )
        job = self.register(body)
        return {"token": job.token, "expires_at": job.expires_at.isoformat(), "environment": job.environment}

    def _get_token(self, request: Request) -> Response:
        token = self.identity_token(bearer_token(request) or "", request.query_params.get("audience", ""))
        return JSONResponse({"value": token}, headers={"Cache-Control": "no-store"})

    def _environment(self, request: JobRequest, token: str) -> dict[str, str]:
        claims = request.claims()
        names = {
            "GITHUB_REPOSITORY": "repository",
            "GITHUB_REPOSITORY_ID": "repository_id",
            "GITHUB_REPOSITORY_OWNER": "repository_owner",
            "GITHUB_REPOSITORY_OWNER_ID": "repository_owner_id",
            "GITHUB_REF": "ref",
            "GITHUB_REF_TYPE": "ref_type",
            "GITHUB_REF_PROTECTED": "ref_protected",
            "GITHUB_SHA": "sha",
            "GITHUB_WORKFLOW": "workflow",
            "GITHUB_WORKFLOW_REF": "workflow_ref",
            "GITHUB_WORKFLOW_SHA": "workflow_sha",
            "GITHUB_EVENT_NAME": "event_name",
            "GITHUB_RUN_ID": "run_id",
            "GITHUB_RUN_NUMBER": "run_number",
            "GITHUB_RUN_ATTEMPT": "run_attempt",
            "GITHUB_ACTOR": "actor",
            "GITHUB_ACTOR_ID": "actor_id",
            "RUNNER_ENVIRONMENT": "runner_environment",
        }
        return {name: str(claims[claim]) for name, claim in names.items()} | {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": SERVER_URL,
            "GITHUB_REF_NAME": request.ref.split("/", 2)[2],
            "GITHUB_JOB": "release",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self._issuer.ci_url}/token?sandbox=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        }


def _stable_id(name: str) -> str:
    return str(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % 10**ID_DIGITS)
