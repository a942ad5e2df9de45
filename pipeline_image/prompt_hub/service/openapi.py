"""The OpenAPI document: `declared_api`, and the contracts of the prompts that answer now."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from prompt_hub.repository.contracts import relocate
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.service.api_models import ErrorResponse
from prompt_hub.service.errors import ErrorCode
from prompt_hub.service.service import PromptService

API_VERSION = "1.0.0"
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
        self._made: tuple[tuple[str, ...], bytes] | None = None

    def encoded(self) -> bytes:
        """Return the document as JSON. It may take long: not for the thread of the event loop."""
        with self.lock:
            prompts = self._service.active_prompts
            versions = tuple(prompt.sha256 for prompt in prompts.values())
            if self._made is None or self._made[0] != versions:
                from prompt_hub.service.declared_api import declared_document

                document = with_tasks(declared_document(), prompts)
                text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
                self._made = (versions, text.encode("utf-8"))
            return self._made[1]


def with_tasks(document: Mapping[str, Any], prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """Add a path for each task, with the contracts of the version that answers it."""
    extended = deepcopy(dict(document))
    paths, schemas = extended["paths"], extended["components"]["schemas"]
    for task, prompt in prompts.items():
        for name, contract in (("input", prompt.input), ("output", prompt.output)):
            schemas[f"{task}.{name}"] = _component(f"{task}.{name}", contract, prompt)
        path = RUN_PATH.format(task=task)
        paths[path] = {"post": _task_operation(paths[RUN_PATH]["post"], task, prompt)}
    return extended


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
    operation = deepcopy(dict(general))
    operation["operationId"] = f"run_{task}"
    operation["summary"] = f"Answer one record with {task}"
    operation["description"] = (
        f"{prompt.description}\n\nAnswered by version {prompt.version} (sha256 {prompt.sha256})."
    )
    operation["parameters"] = [
        parameter for parameter in operation["parameters"] if parameter["in"] != "path"
    ]
    request = operation["requestBody"]["content"][JSON]["schema"]
    request["properties"] = {"fields": {"$ref": f"{COMPONENTS}{task}.input"}}
    answer = operation["responses"]["200"]["content"][JSON]["schema"]
    answer["properties"] = {
        "task": {"const": task},
        "output": {"$ref": f"{COMPONENTS}{task}.output"},
    }
    # The path and its task are there.
    del operation["responses"]["404"]
    return operation
