"""The interface as FastAPI declares it: the OpenAPI document is made from this, and nothing runs.

`http` answers. FastAPI itself would take three times as long for a request as all our own work, so
it is loaded when somebody asks for the document.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from prompt_hub.service.api_models import (
    HealthResponse,
    NotReadyResponse,
    ReadyResponse,
    RunRequest,
    RunResponse,
    TasksResponse,
)
from prompt_hub.service.errors import ErrorCode
from prompt_hub.service.openapi import (
    API_VERSION,
    JSON,
    RUN_PATH,
    TRACE_PARAMETERS,
    error_responses,
)


def declared_document() -> dict[str, Any]:
    """Return the OpenAPI document of the interface, without the tasks of any image."""
    app = FastAPI(
        title="Prompt Hub",
        summary="Records in, structured fields out, by the prompt versions that are active.",
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )

    @app.post(
        RUN_PATH,
        operation_id="run",
        summary="Answer one record with the active version of a task",
        response_description="An output that keeps the prompt's output contract.",
        responses=error_responses(ErrorCode),
        openapi_extra={
            # Not a parameter of the function: JSON is read more strictly here than FastAPI does.
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": RunRequest.model_json_schema()}},
            },
            "parameters": TRACE_PARAMETERS,
            # Where a stage does not tell callers apart, none is asked for.
            "security": [{}, {"bearer": []}],
        },
    )
    async def run(task: str) -> RunResponse:
        """Answer one record. Which fields a task takes, the path of that very task says."""
        raise NotImplementedError

    @app.get("/v1/tasks", operation_id="tasks", summary="What is served, and why")
    async def tasks() -> TasksResponse:
        """Version and hash that answer each task, and where the decision came from."""
        raise NotImplementedError

    @app.get("/healthz", operation_id="health", summary="Whether the process lives")
    async def healthz() -> HealthResponse:
        """Answer as long as the process can."""
        raise NotImplementedError

    @app.get(
        "/readyz",
        operation_id="ready",
        summary="Whether calls should be sent here",
        response_description="It serves what the ledger says, or has given up waiting for it.",
        responses={
            503: {
                "model": NotReadyResponse,
                "description": "It waits for the ledger, or lacks what is active.",
            }
        },
    )
    async def readyz() -> ReadyResponse:
        """Tell a load balancer whether this process can answer."""
        raise NotImplementedError

    document = app.openapi()
    document["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the issuer that the stage's settings name, if they do.",
        }
    }
    return document
