"""Holds what the service answers against what its OpenAPI document says that it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Document = Mapping[str, Any]
JSON = "application/json"


def validate(document: Document) -> None:
    """Hold a document to the standard; only the worker that does it imports what knows that."""
    from openapi_spec_validator import validate as hold

    hold(document)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    request: bytes | None
    status: int
    headers: Mapping[str, str]
    body: bytes


def problems_of(document: Document, exchange: Exchange) -> Iterator[str]:
    """In which ways an exchange is not the one that the document promises."""
    answer = json.loads(exchange.body)
    if exchange.headers["Content-Type"] != JSON:
        yield f"the type is {exchange.headers['Content-Type']}"
    operation = operation_of(document, exchange)
    if operation is None:
        # No operation of this interface: there is one answer to all of that.
        yield from _violations(document, {"$ref": "#/components/schemas/ErrorResponse"}, answer)
        if exchange.status not in {404, 405} or answer["error"]["code"] != "no_such_path":
            yield f"{exchange.status} {answer} from a path that is not documented"
        return
    response = operation["responses"].get(str(exchange.status))
    if response is None:
        yield f"the status {exchange.status} is not documented"
        return
    for name, header in response.get("headers", {}).items():
        if name not in exchange.headers:
            yield f"the header {name} is missing"
        elif header["schema"]["type"] == "integer" and not exchange.headers[name].isdigit():
            yield f"the header {name} is no number"
    yield from _violations(document, response["content"][JSON]["schema"], answer)
    yield from _request_problems(document, operation, exchange, answer)


def operation_of(document: Document, exchange: Exchange) -> Mapping[str, Any] | None:
    """The operation that an exchange belongs to; a path without variables goes first."""
    for path in sorted(document["paths"], key=lambda path: "{" in path):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, exchange.path):
            found: Mapping[str, Any] | None = document["paths"][path].get(exchange.method.lower())
            return found
    return None


def _request_problems(
    document: Document, operation: Mapping[str, Any], exchange: Exchange, answer: Any
) -> Iterator[str]:
    """The documented request is exactly what the service takes."""
    if "requestBody" not in operation:
        return
    schema = operation["requestBody"]["content"][JSON]["schema"]
    code = answer.get("error", {}).get("code")
    if exchange.status == 200:
        yield from _violations(document, schema, json.loads(exchange.request or b""))
    elif code in {"no_fields", "invalid_fields"}:
        sent = json.loads(exchange.request or b"")
        if not list(_violations(document, schema, sent)):
            yield f"{code}, and the document allows what was sent"


def _violations(document: Document, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    whole = {"components": document["components"], **schema}
    for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value):
        yield f"{list(error.instance_path)}: {error.message}"


def references(value: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
