"""openapi.yaml from the application: what FastAPI finds out, in the shape in which people read it.

Errors are what `problems` really answers: OCI error lists under /v2/, problem documents elsewhere. They and the headers
are written once, as components, and referred to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from tidegate_registry.artifacts.http.answers import MEANINGS
from tidegate_registry.problems import OCI_PREFIX, PROBLEM_JSON

if TYPE_CHECKING:
    from fastapi import FastAPI

Node = dict[str, Any]  # OpenAPI is a tree of plain values

FASTAPI_DEFAULT = "Successful Response"
OPEN = {
    "health",
    "readiness",
    "metrics",
    "deleteBlob",
    "deleteManifest",
    "listLoginOptions",
    "getCheckpoint",
    "headCheckpoint",
    "getHashTile",
    "headHashTile",
    "redirectEntryBundle",
}  # operations that need no token
TOKEN_OPERATIONS = {"getToken", "postToken"}
PROBLEMS = {
    400: "Malformed, or bytes that are not what was announced",
    401: "A token is needed, or this one does not count; `WWW-Authenticate` says where to get one",
    403: "The caller may not; `reasons` says who may",
    404: "There is no such thing, or none that the caller may see",
    409: "Another request holds it; try again when that has ended",
    412: "The edit was made from another version; `reasons` says what changed since",
    413: "Larger than allowed",
    422: "A parameter or the body is not of the form it must have",
    428: "The edit does not say from which version it was made",
    429: "Too many, or too much, at once; `Retry-After` says when to come back",
    503: "A dependency does not answer; `Retry-After` says when to come back",
}
REASON_EXAMPLE: Node = {
    "code": "provenance-missing",
    "step": "R4",
    "message": "no SLSA provenance by a publisher of acme/support-agent",
    "found": "none",
    "expected": "https://slsa.dev/provenance/v1",
    "hint": "run `tidegate attest provenance` in the pipeline that the charter names",
}

HEADERS: dict[str, str] = {
    "Docker-Content-Digest": "The digest of the content",
    "Link": "The next page, with `rel=next`",
    "Location": "Where it is, or where to go on; may be relative",
    "OCI-Filters-Applied": "The filters that were applied: `artifactType`",
    "OCI-Subject": "The manifest's subject, which means that referrers are listed here",
    "OCI-Tag": "The tags that the request gave, separated by commas",
    "Range": "`0-N`: the last byte that is kept",
    "Retry-After": "Seconds to wait",
    "Tidegate-Event-Id": "The audit entry that records the change; absent when nothing changed",
    "Warning": 'What the author should know: `299 - "…"`, such as a version step that is too small',
    "WWW-Authenticate": "Where to get a token, and for which scope",
}
ON_SUCCESS: dict[str, dict[str, tuple[str, ...]]] = {
    "listTags": {"200": ("Link",)},
    "listReferrers": {"200": ("Link", "OCI-Filters-Applied")},
    "getBlob": {"307": ("Location", "Docker-Content-Digest")},
    "headBlob": {"200": ("Docker-Content-Digest",)},
    "beginUpload": {"201": ("Location", "Docker-Content-Digest"), "202": ("Location", "Range")},
    "getUpload": {"204": ("Location", "Range")},
    "continueUpload": {"202": ("Location", "Range")},
    "finishUpload": {"201": ("Location", "Docker-Content-Digest")},
    "getManifest": {"200": ("Docker-Content-Digest",)},
    "headManifest": {"200": ("Docker-Content-Digest",)},
    "putManifest": {
        "201": ("Location", "Docker-Content-Digest", "OCI-Subject", "OCI-Tag", "Tidegate-Event-Id", "Warning")
    },
}
CONTENT: dict[str, dict[str, str]] = {  # of answers that are made by hand
    "ping": {"200": "application/json"},
    "getManifest": {"200": "application/vnd.oci.image.manifest.v1+json"},
    "listReferrers": {"200": "application/vnd.oci.image.index.v1+json"},
    "metrics": {"200": "text/plain"},
    "getCheckpoint": {"200": "text/plain; charset=utf-8"},
    "getHashTile": {"200": "application/octet-stream"},
    "getEntryBundle": {"200": "application/octet-stream"},
    "getLogObject": {"200": "application/octet-stream"},
}
ON_ERROR = {401: ("WWW-Authenticate",), 416: ("Range", "Location"), 429: ("Retry-After",), 503: ("Retry-After",)}
FORM: Node = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
                    "username": {"type": "string", "description": "`oidc`, with grant type `password`"},
                    "password": {"type": "string", "description": "An OIDC token, with grant type `password`"},
                    "refresh_token": {"type": "string", "description": "An OIDC token"},
                    "service": {"type": "string", "description": "As in `WWW-Authenticate`"},
                    "scope": {"type": "string", "description": "Scopes, separated by spaces"},
                },
            }
        }
    },
}


def describe() -> Node:
    """Give the document of the registry as it is shipped. Opens nothing, needs no settings of this machine."""
    from tidegate_registry.app import create_app
    from tidegate_registry.settings import Mode, S3Settings, Settings

    unused = SecretStr("unused")  # without keys, boto3 would ask the machine's surroundings for some
    s3 = S3Settings(endpoint="http://127.0.0.1", access_key=unused, secret_key=unused)
    return document(create_app(Settings(mode=Mode.SANDBOX, database_url=SecretStr("sqlite://"), s3=s3)))


def document(app: FastAPI) -> Node:
    """Give the whole document, members in reading order."""
    tree: Node = app.openapi()
    for path, method, operation in _operations(tree):
        _set_responses(path, method, operation)
        for parameter in operation.get("parameters", ()):
            _simplify(parameter)
        if operation["operationId"] in OPEN:
            operation["security"] = []
        elif operation["operationId"] in TOKEN_OPERATIONS:
            operation["security"] = [{"oidcToken": []}, {}]
    tree["paths"]["/v2/token"]["post"]["requestBody"] = FORM
    _tidy(tree["paths"])
    schemas = tree["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _tidy(schemas)
    schemas |= _error_schemas()
    return {
        "openapi": tree["openapi"],
        "info": tree["info"] | {"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": tree["tags"],
        "security": [{"registryToken": []}, {}],
        "paths": tree["paths"],
        "components": {
            "securitySchemes": {
                "registryToken": {"type": "http", "scheme": "bearer", "description": "From `/v2/token`"},
                "oidcToken": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "User `oidc`, password an OIDC token whose audience is this registry's URL",
                },
            },
            "responses": _error_responses(),
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _operations(tree: Node) -> Iterator[tuple[str, str, Node]]:
    for path, methods in tree["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _set_responses(path: str, method: str, operation: Node) -> None:
    name = operation["operationId"]
    found = {int(code): answer for code, answer in operation["responses"].items()}
    codes, shape = _errors_of(path, name, set(found))
    responses: Node = {str(code): found[code] for code in found.keys() - {*MEANINGS, *PROBLEMS, *codes}}
    if name in OPEN and shape == "Problem":
        responses |= {str(code): answer for code, answer in found.items() if code not in {*codes, 401, 422}}
    _describe(operation, responses)
    for code in codes:
        # an answer to HEAD has no body
        body = {"$ref": f"#/components/responses/{shape}{code}"}
        responses[str(code)] = (
            {"description": (MEANINGS if shape == "Oci" else PROBLEMS)[code]} if method == "head" else body
        )
    operation["responses"] = {code: responses[code] for code in sorted(responses)}


def _errors_of(path: str, name: str, declared: set[int]) -> tuple[set[int], str]:
    """Give the statuses of an operation's errors, and the component that says what they look like."""
    if name.startswith("delete"):
        return {405}, "Oci"
    if name in OPEN:
        return set(), "Problem"
    if path.startswith(OCI_PREFIX):
        return (declared & MEANINGS.keys()) | ({400, 401, 503} if name in TOKEN_OPERATIONS else set()), "Oci"
    on_one_thing = {404} if "{" in path else set()
    return {400, 401, 403, 503} | on_one_thing | (declared & PROBLEMS.keys()), "Problem"


def _describe(operation: Node, responses: Node) -> None:
    name = operation["operationId"]
    for answer in responses.values():
        if answer["description"] == FASTAPI_DEFAULT:
            answer["description"] = operation["summary"]
    for status, headers in ON_SUCCESS.get(name, {}).items():
        responses[status]["headers"] = {header: {"$ref": f"#/components/headers/{header}"} for header in headers}
    for status, content in CONTENT.get(name, {}).items():
        known = responses[status].get("content", {}).get("application/json", {}).get("schema")
        responses[status]["content"] = {
            content: {"schema": known or {"type": "string" if "text" in content else "object"}}
        }


def _simplify(parameter: Node) -> None:
    """Say once what a parameter is; that one may be left out is said by `required`."""
    schema: Node = parameter["schema"]
    schema.pop("description", None)
    given = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(given) == 1:
        del schema["anyOf"]
        schema |= given[0]


def _error_responses() -> Node:
    oci_example = {
        "errors": [
            {
                "code": "DENIED",
                "message": "acme/support-agent:1.0.0 is not admitted\nprovenance-missing [R4]: …\n    hint: …",
                "detail": {"reasons": [REASON_EXAMPLE]},
            }
        ]
    }
    problem_example = {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": REASON_EXAMPLE["message"],
        "code": REASON_EXAMPLE["code"],
        "hint": REASON_EXAMPLE["hint"],
        "reasons": [REASON_EXAMPLE],
    }
    answers = {
        f"Oci{code}": _response(code, text, "application/json", "OciErrors", oci_example)
        for code, text in MEANINGS.items()
    }
    return answers | {
        f"Problem{code}": _response(code, text, PROBLEM_JSON, "Problem", problem_example)
        for code, text in PROBLEMS.items()
    }


def _response(code: int, text: str, media_type: str, schema: str, example: Node) -> Node:
    content: Node = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if code == 403:  # noqa: PLR2004 - one example for each shape is enough
        content["example"] = example
    answer: Node = {"description": text, "content": {media_type: content}}
    if code in ON_ERROR:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in ON_ERROR[code]}
    return answer


def _error_schemas() -> Node:
    text = {"type": "string"}
    reason = {
        "type": "object",
        "description": "One thing that was looked at and found wanting",
        "required": ["code", "message"],
        "properties": {
            "code": text | {"description": "Stable; docs/reference/errors.md lists them all"},
            "message": text,
            "found": text,
            "expected": text,
            "hint": text | {"description": "What to do about it"},
            "step": text | {"description": "The number of the check in its page of docs/spec"},
        },
    }
    problem = {
        "type": "object",
        "description": "RFC 9457, with every reason",
        "required": ["type", "title", "status", "detail", "code", "reasons"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": text | {"description": "The code of the first reason"},
            "hint": text,
            "reasons": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
        },
    }
    return {"Reason": reason, "Problem": problem}


def _tidy(node: object) -> None:
    """Take out the titles that repeat a member's name, and the line breaks of docstrings."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    elif isinstance(node, dict):
        if isinstance(node.get("title"), str) and isinstance(node.get("type", ""), str):
            node.pop("title")
        description = node.get("description")
        if isinstance(description, str):
            node["description"] = " ".join(description.split())
        for value in node.values():
            _tidy(value)
