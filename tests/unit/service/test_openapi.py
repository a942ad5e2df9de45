"""The OpenAPI document is valid, follows what is active, and tells the truth about every answer."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from prompt_hub.batch.backends import RECORD_ERRORS
from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.carried import CarriedHashes, carried_hashes, carried_prompts
from prompt_hub.release.manifest import Release, load
from prompt_hub.repository.contracts import relocate
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject, Message
from prompt_hub.service import errors_page, http
from prompt_hub.service.admission import Admission
from prompt_hub.service.callers import Callers, CallerSettings
from prompt_hub.service.errors import ErrorCode
from prompt_hub.service.http import MAX_BODY_BYTES
from prompt_hub.service.openapi import RUN_PATH, OpenApiDocument, document_parts
from prompt_hub.service.quotas import QuotaTable
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import FunctionProvider
from tests.unit.service.openapi_check import Exchange, problems_of, references, validate
from tests.unit.service.serving import FIELDS, CheckedClient, unstarted
from tests.unit.service.tokens import unsigned

PAGE = Path(__file__).resolve().parents[3] / "docs" / "http-api.md"
GOOD: JsonObject = {"part_class": "resistor"}
RUN = "/v1/tasks/part-class/run"
BRAND = "/v1/tasks/brand/run"


def reference(release: Release, task: str, version: str) -> VersionRef:
    carried = release.tasks[task].version(version)
    assert carried is not None
    return carried.reference


def serving(
    built: Path, answer: JsonObject | str | None = GOOD, version: str = "1.0.0", **options: Any
) -> CheckedClient:
    """A service with `part-class` active, whose model always gives the same answer."""
    ledger = FakeLedger()
    ledger.move(reference(load(built), "part-class", version))
    options.setdefault("client", FunctionProvider(lambda messages: answer).caller())
    return unstarted(built, ledger, **options)


def document_of(client: CheckedClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


# --- The document ------------------------------------------------------------------------------


def test_the_document_is_valid_and_every_reference_leads_somewhere(built: Path) -> None:
    document = document_of(serving(built))
    validate(document)
    found = set(references(document))
    assert "#/components/schemas/part-class.input" in found
    for pointer in found:
        place: Any = document
        for step in pointer.removeprefix("#/").split("/"):
            place = place[step]


def test_the_validator_finds_a_document_that_is_not_valid(built: Path) -> None:
    document = document_of(serving(built))
    del document["paths"][RUN]["post"]["responses"]["200"]["description"]
    with pytest.raises(Exception, match="description"):
        validate(document)


def test_a_task_has_the_contracts_of_its_active_version(built: Path) -> None:
    release = load(built)
    ledger = FakeLedger()
    ledger.move(reference(release, "part-class", "1.0.0"))
    prompts = carried_prompts(PromptRepository(built), CarriedHashes.of(release))
    newer = prompts["part-class", "1.1.0"].model_copy(
        update={"input": {"type": "object", "properties": {"mpn": {"type": "string"}}}}
    )
    client = unstarted(built, ledger, changed={("part-class", "1.1.0"): newer})
    document = document_of(client)
    assert document["components"]["schemas"]["part-class.input"]["required"] == [
        "part_number",
        "title",
    ]
    assert "1.0.0" in document["paths"][RUN]["post"]["description"]
    assert BRAND not in document["paths"]
    assert document_of(client) == document

    ledger.move(reference(release, "part-class", "1.1.0"))
    client.poller.poll()
    document = document_of(client)
    assert list(document["components"]["schemas"]["part-class.input"]["properties"]) == ["mpn"]
    assert newer.sha256 in document["paths"][RUN]["post"]["description"]
    validate(document)


def test_calls_are_answered_while_the_document_is_being_made(built: Path) -> None:
    client = serving(built)
    document: OpenApiDocument = client.application.document
    with client, ThreadPoolExecutor(1) as pool:
        with document.lock:
            asked = pool.submit(client.get, "/openapi.json")
            # One event loop serves both: it would hang here if it waited for the document.
            answers = [super(CheckedClient, client).request("GET", "/healthz") for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 200]
            assert not asked.done()
        assert asked.result(10).status_code == 200


def test_many_who_ask_for_the_document_at_once_leave_threads_to_others(built: Path) -> None:
    client = serving(built)
    document: OpenApiDocument = client.application.document
    threads = 40  # An event loop has 32 at most.
    with client, ThreadPoolExecutor(threads + 1) as pool:
        with document.lock:
            asked = [pool.submit(client.get, "/openapi.json") for _ in range(threads)]
            assert wait(asked, timeout=0.5).not_done == set(asked)
            # It is made in a thread, as a large call is read in one.
            unchecked = super(CheckedClient, client).request
            assert pool.submit(unchecked, "GET", "/v1/tasks").result(60).status_code == 200
        answers = [each.result(60) for each in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_who_asks_after_a_change_waits_for_no_page_of_before(built: Path) -> None:
    client = serving(built)
    read, go_on = threading.Event(), threading.Event()

    def make() -> tuple[bytes, ...]:
        served = client.poller.state.served
        read.set()
        assert go_on.wait(60)
        return (",".join(sorted(served)).encode(),)

    async def ask() -> list[tuple[bytes, ...]]:
        page = http._Shared(make, client.application._service)
        asked = [asyncio.ensure_future(page.page()) for _ in range(2)]
        assert await asyncio.to_thread(read.wait, 60)
        client.poller.state = replace(client.poller.state, served={})
        asked.append(asyncio.ensure_future(page.page()))
        await asyncio.sleep(0)  # It has asked, and waits.
        asked[0].cancel()
        go_on.set()
        return await asyncio.gather(*asked[1:])

    client.poller.poll()
    assert asyncio.run(ask()) == [(b"part-class",), (b"",)]


def test_a_document_of_many_tasks_is_made_and_sent_in_parts(built: Path) -> None:
    client = serving(built)
    one = document_of(client)
    prompt = carried_prompts(PromptRepository(built), CarriedHashes.of(load(built)))[
        "brand", "1.0.0"
    ]
    tasks = [f"task-{number}" for number in range(200)]
    parts = document_parts(one, ((task, prompt) for task in tasks))
    whole = b"".join(parts)
    document = json.loads(whole)
    assert list(document["paths"]) == [*one["paths"], *(RUN_PATH.format(task=t) for t in tasks)]
    operation = document["paths"]["/v1/tasks/task-7/run"]["post"]
    assert operation["operationId"] == "run_task-7"
    assert max(map(len, parts)) < 3 * len(json.dumps(one))
    validate(document)

    sent: list[AsgiMessage] = []

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    asyncio.run(http._send(send, http._Response(200, parts)))
    start, *pieces = sent
    assert (b"content-length", b"%d" % len(whole)) in start["headers"]
    assert b"".join(piece["body"] for piece in pieces) == whole
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert len(pieces) > 20


# --- Contracts that refer into themselves --------------------------------------------------------

SIZES: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "$ref": {"$ref": "#/$defs/size"},
        "parts": {"type": "array", "items": {"$ref": "#"}},
        "either": {"anyOf": [{"$ref": "#/$defs/size"}, {"const": {"$ref": "#/$defs/size"}}]},
    },
    "additionalProperties": False,
    "$defs": {"size": {"enum": ["0402", "0603"]}},
}


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"$ref": "0402"}, True),
        ({"$ref": "9999"}, False),
        ({"parts": [{"parts": [{"$ref": "0603"}]}]}, True),
        ({"parts": [{"parts": [{"$ref": "x"}]}]}, False),
        ({"either": {"$ref": "#/$defs/size"}}, True),
        ({"either": {"$ref": "#/components/x/$defs/size"}}, False),
    ],
)
def test_a_schema_means_the_same_where_it_has_moved(value: JsonObject, fits: bool) -> None:
    before = copy.deepcopy(SIZES)
    moved = relocate(SIZES, "#/components/x")
    assert moved is not None
    assert before == SIZES
    inside: JsonObject = {"components": {"x": moved}, "$ref": "#/components/x"}
    assert jsonschema_rs.is_valid(SIZES, value) == fits
    assert jsonschema_rs.is_valid(inside, value) == fits


@pytest.mark.parametrize(
    "inside",
    [
        {"$anchor": "size"},
        {"$id": "https://example.com/size"},
        {"$dynamicRef": "#size"},
        {"$ref": "#size"},
        {"$ref": "other.json#/size"},
    ],
)
def test_a_schema_that_refers_by_name_is_not_moved(inside: JsonObject, built: Path) -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"items": inside}}}
    assert relocate(schema, "#/components/x") is None
    prompt = carried_prompts(PromptRepository(built), carried_hashes(built))["brand", "1.0.0"]
    named = prompt.model_copy(update={"input": schema})
    parts = document_parts(document_of(serving(built)), [("brand", named)])
    document = json.loads(b"".join(parts))
    assert document["components"]["schemas"]["brand.input"]["type"] == "object"
    validate(document)


# --- Every documented answer occurs --------------------------------------------------------------

Scenario = Callable[[Path], tuple[CheckedClient, str, str, bytes | None]]


def post(client: CheckedClient, path: str, body: object) -> tuple[CheckedClient, str, str, bytes]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client, "POST", path, raw


def get(client: CheckedClient, path: str) -> tuple[CheckedClient, str, str, None]:
    return client, "GET", path, None


def broken(built: Path) -> CheckedClient:
    """A prompt whose template needs a field that its contract does not ask for."""
    prompt = carried_prompts(PromptRepository(built), carried_hashes(built))["part-class", "1.0.0"]
    message = Message(role="user", content="{{ manufacturer }}")
    changed = prompt.model_copy(update={"messages": (message,)})
    return serving(built, changed={("part-class", "1.0.0"): changed})


def astray(built: Path) -> CheckedClient:
    """A model client with a bug."""

    def fail(_: object) -> JsonObject:
        raise RuntimeError("nobody foresaw this")

    return serving(built, client=FunctionProvider(fail).caller())


class LateBody:
    """Lets the body of every request wait."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def late() -> AsgiMessage:
            await asyncio.sleep(0.2)
            return await receive()

        await self.app(scope, late, send)


def slow(built: Path) -> CheckedClient:
    """A caller whose body does not come in time."""
    client = unstarted(built, FakeLedger(), body_seconds=0.01)
    return CheckedClient(client.application, client.poller, around=LateBody)


def lacking(built: Path) -> CheckedClient:
    """A stage that has something active which the image does not carry."""
    ledger = FakeLedger(activated="exec-1")
    ledger.move(VersionRef(version="0.9.0", sha256="gone"), "brand")
    return unstarted(built, ledger)


def released(built: Path) -> dict[str, VersionRef]:
    return {"brand": reference(load(built), "brand", "1.0.0")}


def callers_of(per_minute: int) -> Callers:
    """Callers that may ask so often."""
    settings = CallerSettings(
        claim="sub", requests_per_minute=per_minute, quotas={}, tasks=1, own_port=8443
    )
    return Callers(settings, QuotaTable(threading.Lock()))


def used_up(built: Path) -> CheckedClient:
    """A caller whose quota is used up for ten seconds."""
    client = serving(built, callers=callers_of(6))
    client.headers["Authorization"] = unsigned(sub="shop")
    assert client.post(RUN, json=FULL).status_code == 200
    return client


FULL: JsonObject = {"fields": {**FIELDS}}
MAKER: JsonObject = {"fields": {"manufacturer": "Yageo"}}
SCENARIOS: dict[tuple[str, int, str], Scenario] = {
    (RUN_PATH, 200, ""): lambda built: post(serving(built), RUN, FULL),
    (RUN_PATH, 400, "not_json"): lambda built: post(serving(built), RUN, b"{"),
    (RUN_PATH, 404, "no_such_path"): lambda built: post(serving(built), "/v1/tasks/a%2Fb/run", {}),
    (RUN_PATH, 404, "unknown_task"): lambda built: post(serving(built), "/v1/tasks/x/run", FULL),
    (RUN_PATH, 408, "too_slow"): lambda built: post(slow(built), RUN, FULL),
    (RUN_PATH, 410, "retired"): lambda built: post(serving(built), BRAND, MAKER),
    (RUN_PATH, 401, "unknown_caller"): lambda built: post(
        serving(built, callers=callers_of(6)), RUN, FULL
    ),
    (RUN_PATH, 429, "over_quota"): lambda built: post(used_up(built), RUN, FULL),
    (RUN_PATH, 429, "overloaded"): lambda built: post(
        serving(built, admission=Admission(0)), RUN, FULL
    ),
    (RUN_PATH, 413, "body_too_large"): lambda built: post(
        serving(built), RUN, b" " * (MAX_BODY_BYTES + 1)
    ),
    (RUN_PATH, 422, "no_fields"): lambda built: post(serving(built), RUN, {}),
    (RUN_PATH, 422, "invalid_fields"): lambda built: post(serving(built), RUN, {"fields": {}}),
    (RUN_PATH, 500, "prompt_broken"): lambda built: post(broken(built), RUN, FULL),
    (RUN_PATH, 500, "unexpected"): lambda built: post(astray(built), RUN, FULL),
    (RUN_PATH, 502, "invalid_output"): lambda built: post(serving(built, "no JSON"), RUN, FULL),
    (RUN_PATH, 503, "model_unavailable"): lambda built: post(serving(built, None), RUN, FULL),
    (RUN_PATH, 503, "not_active"): lambda built: post(
        serving(built, champions=released(built)), BRAND, MAKER
    ),
    (RUN_PATH, 503, "not_carried"): lambda built: post(lacking(built), BRAND, MAKER),
    ("/v1/tasks", 200, ""): lambda built: get(serving(built), "/v1/tasks"),
    ("/healthz", 200, ""): lambda built: get(serving(built), "/healthz"),
    ("/readyz", 200, ""): lambda built: get(serving(built), "/readyz"),
    ("/readyz", 503, ""): lambda built: get(lacking(built), "/readyz"),
}


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: f"{case[0]} {case[1]} {case[2]}")
def test_a_documented_answer_occurs_as_documented(case: tuple[str, int, str], built: Path) -> None:
    _, status, code = case
    client, method, path, body = SCENARIOS[case](built)
    # `CheckedClient` holds the answer to the document.
    response = client.request(method, path, content=body)
    found = response.json().get("error", {}).get("code", "")
    assert (response.status_code, found) == (status, code)
    if code:
        assert ErrorCode(code).status == status
        assert ErrorCode(code).retry == ("Retry-After" in response.headers)


def test_nothing_else_is_documented(built: Path) -> None:
    document = document_of(serving(built))
    documented = {
        (path, int(status), code)
        for path, operations in document["paths"].items()
        if path != RUN
        for operation in operations.values()
        for status, response in operation["responses"].items()
        for code in codes_of(response)
    }
    assert documented == set(SCENARIOS)
    run, of_a_task = (document["paths"][path]["post"]["responses"] for path in (RUN_PATH, RUN))
    assert of_a_task.keys() == run.keys() - {"404"}


def codes_of(response: Mapping[str, Any]) -> Iterator[str]:
    schema = response["content"]["application/json"]["schema"]
    error = schema.get("properties", {}).get("error")
    yield from error["properties"]["code"]["enum"] if error else [""]


def test_an_answer_that_is_not_the_documented_one_is_found(built: Path) -> None:
    document = document_of(serving(built))
    good = {"ok": True}

    def found(path: str = "/healthz", status: int = 200, answer: object = good) -> list[str]:
        exchange = Exchange(
            method="GET",
            path=path,
            request=None,
            status=status,
            headers={"Content-Type": "application/json"},
            body=json.dumps(answer).encode(),
        )
        return list(problems_of(document, exchange))

    assert found() == []
    assert found(status=201) == ["the status 201 is not documented"]
    assert found(answer={"ok": False}) == ["['ok']: true was expected"]
    assert "'more'" in found(answer={"ok": True, "more": 1})[0]
    assert found(path="/healthy") != []


# --- The table of errors -------------------------------------------------------------------------


@pytest.mark.shipped
def test_the_page_has_the_table_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = replace_generated_part(page, errors_page.SOURCE, errors_page.table())
    assert page == written, "run `make docs`"
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    assert rows == [(str(code), str(code.status)) for code in ErrorCode]
    assert f"{MAX_BODY_BYTES // 1024} KiB" in ErrorCode.BODY_TOO_LARGE.meaning
    assert f"{MAX_BODY_BYTES // 1024} KiB" in page


def test_what_a_batch_run_takes_for_a_bad_record_is_never_worth_another_try() -> None:
    assert {code for code in ErrorCode if code in RECORD_ERRORS} == {
        ErrorCode(code) for code in RECORD_ERRORS
    }
    assert not any(ErrorCode(code).retry for code in RECORD_ERRORS)


def test_a_document_without_a_task_is_valid(built: Path) -> None:
    document = document_of(unstarted(built, FakeLedger()))
    validate(document)
    assert RUN not in document["paths"]
