"""A service that has as many calls in hand as it takes on sends the next one away at once."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service.admission import Admission, Refusals
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import FunctionProvider
from tests.unit.service.serving import FIELDS, RUN, unstarted


def test_a_call_beyond_the_bound_is_told_when_to_come_again(built: Path) -> None:
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    answered = threading.Event()
    asked = threading.Semaphore(0)

    def wait(_: object) -> JsonObject:
        asked.release()
        assert answered.wait(10)
        return {"part_class": "resistor"}

    client = unstarted(
        built, ledger, client=FunctionProvider(wait).caller(), admission=Admission(1)
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, RUN, json={"fields": FIELDS})
        assert asked.acquire(timeout=10)
        began = time.monotonic()
        second = client.post(RUN, json={"fields": FIELDS})
        assert time.monotonic() - began < 5, "it waited for the first one"
        answered.set()
        assert first.result(10).status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (429, "overloaded")
    assert second.headers["Retry-After"] == "5"
    # The place is free again, and one that was refused has taken none.
    assert client.post(RUN, json={"fields": FIELDS}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"fields": {}}, None])
def test_a_refused_call_gives_its_place_back(built: Path, body: JsonObject | None) -> None:
    client = unstarted(built, FakeLedger(), admission=Admission(1))
    content = b"{" if body is None else json.dumps(body).encode()
    found = [client.post(RUN, content=content).json()["error"]["code"] for _ in range(2)]
    assert "overloaded" not in found


def test_the_bound_is_that_of_all_processes() -> None:
    counts = [0, 0]
    here, there = Admission(3, counts, 0), Admission(3, counts, 1)
    assert [here.enter(), there.enter(), here.enter()] == [True, True, True]
    assert (here.enter(), there.enter()) == (False, False)
    here.leave()
    assert there.enter()
    assert counts == [1, 2]


def test_calls_that_are_sent_away_are_one_line_a_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuse() -> None:
        refusals = Refusals("dev")
        for _ in range(250):
            refusals.add()
        await asyncio.sleep(1.2)
        refusals.add()
        refusals.add("over_quota")
        refusals.say()

    asyncio.run(refuse())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [
        (line["event"], line["stage"], line["refused"], line["over_quota"]) for line in lines
    ] == [("calls_refused", "dev", 250, 0), ("calls_refused", "dev", 1, 1)]
    (directive,) = lines[0]["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "PromptHub/Calls",
        "Dimensions": [["stage"]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in ("refused", "over_quota")],
    }
