"""The service, running: real prompts, the real SDK, a small real server as the model's provider."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.carried import CarriedHashes, carried_prompts
from prompt_hub.release.ledger_poller import LedgerPoller
from prompt_hub.release.manifest import Release, VersionKey, load
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt
from prompt_hub.service.admission import Admission
from prompt_hub.service.callers import Callers
from prompt_hub.service.http import BODY_SECONDS, ServiceApp, create_app
from prompt_hub.service.service import PromptService
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.fake_provider import FakeProvider, fake_provider
from tests.unit.service.heard import Heard
from tests.unit.service.openapi_check import Exchange, problems_of

RUN = "/v1/tasks/part-class/run"
FIELDS = {"part_number": "RC0603FR-0710KL", "title": "Thick film resistor 10 kΩ"}


@dataclass
class Running:
    """A running service, its ledger and its provider."""

    url: str
    ledger: FakeLedger
    provider: FakeProvider
    release: Release
    warm: bool = False

    def move(self, task: str, version: str) -> None:
        """Let the ledger point elsewhere, and wait until the service has seen it."""
        carried = self.release.tasks[task].version(version)
        assert carried is not None
        revision = self.ledger.move(carried.reference, task, by="ann")
        deadline = time.monotonic() + 5
        while self.get("/v1/tasks")[1]["ledger"]["revision"] != revision:
            assert time.monotonic() < deadline, "the service did not follow the ledger"
            time.sleep(0.01)

    def get(self, path: str) -> tuple[int, Any]:
        return self.send(urllib.request.Request(self.url + path))[:2]

    def run(self, task: str, fields: object, **headers: str) -> tuple[int, Any, Any]:
        return self.post(f"/v1/tasks/{task}/run", json.dumps({"fields": fields}), **headers)

    def post(self, path: str, body: str | bytes, **headers: str) -> tuple[int, Any, Any]:
        raw = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(
            urllib.request.Request(self.url + path, data=raw, headers=named, method="POST")
        )

    def send(self, request: urllib.request.Request) -> tuple[int, Any, Any]:
        """Send a request; its answer must be one that the OpenAPI document promises."""
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
        with urllib.request.urlopen(f"{self.url}/openapi.json", timeout=10) as described:
            document = json.loads(described.read())
        exchange = Exchange(
            method=request.get_method(),
            path=urllib.parse.urlsplit(request.full_url).path,
            request=request.data if isinstance(request.data, bytes) else None,
            status=answer.status,
            headers=answer.headers,
            body=body,
        )
        assert list(problems_of(document, exchange)) == []
        return answer.status, json.loads(body), answer.headers


class CheckedClient(TestClient):
    """A client of an application in this process that holds it to its OpenAPI document."""

    def __init__(
        self,
        application: ServiceApp,
        poller: LedgerPoller,
        *,
        around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        super().__init__(around(application), raise_server_exceptions=False)
        self.application = application
        self.poller = poller

    def request(self, method: str, url: Any, **options: Any) -> Any:
        """Send a request; its answer must be one that the document promises."""
        response = super().request(method, url, **options)
        if url != "/openapi.json":
            exchange = Exchange(
                method=method,
                path=response.request.url.path,
                request=response.request.content,
                status=response.status_code,
                headers=response.headers,
                body=response.content,
            )
            assert list(problems_of(self.get("/openapi.json").json(), exchange)) == []
        return response


@contextmanager
def listening(app: ServiceApp) -> Iterator[int]:
    """Run an application behind the server that runs it in a stage; yields its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(behind_balancer(app, "127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive(), "the service did not stop"


@pytest.fixture(scope="module")
def service(built: Path) -> Iterator[Running]:
    release = load(built)
    ledger = FakeLedger()
    with fake_provider() as provider:
        aliases = {
            alias: {"provider": "openai", "model": "small", "base_url": provider.url}
            for alias in ("catalogue-pinned", "catalogue-latest")
        }
        client = ModelClient(ModelAliases.parse(json.dumps(aliases)))
        # As `serve` does: the first call must not wait for the SDK.
        client.connect()
        service = PromptService(
            stage="dev",
            release=release.release,
            prompts=carried_prompts(PromptRepository(built), CarriedHashes.of(release)),
            seconds_per_call={"part-class": 0.7},
            poller=LedgerPoller(CarriedHashes.of(release), ledger, Heard()),
            client=client,
        )
        with listening(create_app(service, poll_seconds=0.02)) as port:
            yield Running(
                url=f"http://127.0.0.1:{port}", ledger=ledger, provider=provider, release=release
            )


@pytest.fixture
def running(service: Running) -> Running:
    """The one service of this file, with its provider well again and 1.1.0 active."""
    provider = service.provider
    provider.says, provider.status, provider.delay_seconds = '{"part_class": "resistor"}', 200, 0.0
    provider.retry_after, provider.refusal = None, {}
    service.move("part-class", "1.1.0")
    # What only the very first call does takes longer than a call may, on a busy machine.
    deadline = time.monotonic() + 10
    while not service.warm and time.monotonic() < deadline:
        service.warm = service.run("part-class", FIELDS)[0] == 200
    provider.asked.clear()
    return service


def unstarted(
    built: Path,
    ledger: FakeLedger,
    *,
    client: ModelClient | None = None,
    champions: Mapping[str, VersionRef] | None = None,
    changed: Mapping[VersionKey, Prompt] | None = None,
    body_seconds: float = BODY_SECONDS,
    admission: Admission | None = None,
    callers: Callers | None = None,
) -> CheckedClient:
    """A service after one look at the ledger; without `champions` git has nothing released.

    `changed` prompts take the place of the image's own.
    """
    release = load(built)
    hashes = replace(CarriedHashes.of(release), champions=champions or {}, snapshot=champions or {})
    poller = LedgerPoller(hashes, ledger, Heard())
    poller.poll()
    prompts = carried_prompts(PromptRepository(built), CarriedHashes.of(release))
    service = PromptService(
        stage="dev",
        release=release.release,
        prompts={**prompts, **(changed or {})},
        seconds_per_call={},
        poller=poller,
        client=client or ModelClient(ModelAliases({})),
    )
    app = create_app(
        service,
        poll_seconds=60,
        body_seconds=body_seconds,
        admission=admission,
        callers=callers,
    )
    return CheckedClient(app, poller)
