"""The OpenAPI document: `declared_api`, and the contracts of the prompts that answer now."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from prompt_hub.repository.contracts import relocate
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.service.api_models import ErrorResponse
from prompt_hub.service.errors import ErrorCode
from prompt_hub.service.service import PromptService

API_VERSION = "1.2.0"
"""Version of the interface under `/v1`: its minor number moves with every addition."""
JSON = "application/json"
RUN_PATH = "/v1/tasks/{task}/run"
COMPONENTS = "#/components/schemas/"

RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}
TRACE_PARAMETERS: list[JsonObject] = [
    {
        "name": "traceparent",
        "in": "header",
        "description": "The caller's trace, as W3C writes it; what is no such trace is ignored.",
        "schema": {"type": "string"},
    },
    {
        "name": "X-Amzn-Trace-Id",
        "in": "header",
        "description": "The caller's trace, as AWS load balancers write it.",
        "schema": {"type": "string"},
    },
]


def error_responses(codes: Iterable[ErrorCode]) -> dict[int | str, dict[str, Any]]:
    """Describe the answers with these codes, one for each HTTP status, as FastAPI takes them."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    responses: dict[int | str, dict[str, Any]] = {}
    for status, possible in sorted(by_status.items()):
        known = {"properties": {"code": {"enum": [str(code) for code in possible]}}}
        responses[status] = {
            "model": ErrorResponse,
            "description": "\n\n".join(f"`{code}`: {code.meaning}" for code in possible),
            "content": {JSON: {"schema": {"properties": {"error": known}}}},
            **({"headers": RETRY_AFTER} if status in {429, 503} else {}),
        }
    return responses


class OpenApiDocument:
    """The document of one service, made when it is asked for and kept until a pointer moves."""

    def __init__(self, service: PromptService) -> None:
        """Add the tasks of `service` to what is declared of every image."""
        self.lock = threading.Lock()
        """Held while a document is made; only threads that may wait take it."""
        self._service = service
        self._made: tuple[tuple[tuple[str, str], ...], tuple[bytes, ...]] | None = None

    def encoded(self) -> tuple[bytes, ...]:
        """Return the document as JSON, in parts. It takes long: not for the event loop's thread."""
        with self.lock:
            served = self._service.poller.state.served
            versions = tuple((task, served[task].reference.sha256) for task in sorted(served))
            if self._made is None or self._made[0] != versions:
                from prompt_hub.service.declared_api import declared_document

                prompts = self._service.prompts_of(served)
                self._made = (versions, document_parts(declared_document(), prompts))
            return self._made[1]


def document_parts(
    document: Mapping[str, Any], prompts: Iterable[tuple[str, Prompt]]
) -> tuple[bytes, ...]:
    """Write a document as JSON, with a path for each task and the contracts of what answers it.

    Task by task: of thousands of them the whole would take memory ten times its text's, and writing
    it in one go would hold up every call.
    """
    paths: list[bytes] = []
    schemas: list[bytes] = []
    general = document["paths"][RUN_PATH]["post"]
    for task, prompt in prompts:
        for name, contract in (("input", prompt.input), ("output", prompt.output)):
            component = _component(f"{task}.{name}", contract, prompt)
            schemas.append(_member(f"{task}.{name}", component))
        operation = {"post": _task_operation(general, task, prompt)}
        paths.append(_member(RUN_PATH.format(task=task), operation))
        time.sleep(0)  # Whoever waits for this thread to stop goes on.
    components = document["components"]
    marked = {
        **document,
        "paths": {**document["paths"], _HERE: 0},
        "components": {**components, "schemas": {**components["schemas"], _HERE: 0}},
    }
    start, middle, end = _encode(marked).encode("utf-8").split(_member(_HERE, 0))
    return (start, *paths, middle, *schemas, end)


_HERE = "\0"
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _member(name: str, value: object) -> bytes:
    """Write one more member of an object that has some."""
    return f",{_encode(name)}:{_encode(value)}".encode()


def _component(name: str, contract: JsonObject, prompt: Prompt) -> JsonObject:
    moved = relocate(contract, COMPONENTS + name)
    if moved is not None:
        return moved
    return {
        "type": "object",
        "description": f"The contract in {prompt.task} {prompt.version}, which refers to parts of "
        "itself by name and so cannot be shown here.",
    }


def _task_operation(general: Mapping[str, Any], task: str, prompt: Prompt) -> dict[str, Any]:
    """Narrow the operation of all tasks to one of them."""
    body, responses = deepcopy(general["requestBody"]), dict(general["responses"])
    responses["200"] = deepcopy(responses["200"])
    # The path and its task are there.
    del responses["404"]
    operation = {**general, "requestBody": body, "responses": responses}
    operation["operationId"] = f"run_{task}"
    operation["summary"] = f"Answer one record with {task}"
    operation["description"] = (
        f"{prompt.description}\n\nAnswered by version {prompt.version} (sha256 {prompt.sha256})."
    )
    operation["parameters"] = [
        parameter for parameter in operation["parameters"] if parameter["in"] != "path"
    ]
    request = body["content"][JSON]["schema"]
    request["properties"] = {"fields": {"$ref": f"{COMPONENTS}{task}.input"}}
    answer = responses["200"]["content"][JSON]["schema"]
    answer["properties"] = {
        "task": {"const": task},
        "output": {"$ref": f"{COMPONENTS}{task}.output"},
    }
    return operation
