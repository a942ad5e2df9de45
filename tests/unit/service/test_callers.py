"""Callers are told apart by the token that the balancer has verified, and each has its quota."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.manifest import load
from prompt_hub.service.callers import Callers, CallerSettings
from prompt_hub.service.quotas import WAYS, Quota, QuotaTable
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import FunctionProvider
from tests.unit.service.serving import FIELDS, RUN, CheckedClient, unstarted
from tests.unit.service.tokens import bearer, unsigned

SETTINGS = CallerSettings(
    claim="client_id",
    requests_per_minute=6,
    quotas={"nightly": 24},
    tasks=1,
    own_port=aws_names.OWN_PORT,
)
OWN = {"X-Forwarded-Port": str(aws_names.OWN_PORT)}
BALANCED = {"X-Forwarded-Port": "443"}


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(built: Path, clock: Clock) -> CheckedClient:
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    callers = Callers(SETTINGS, QuotaTable(threading.Lock(), clock=clock))
    provider = FunctionProvider(lambda _: {"part_class": "resistor"})
    return unstarted(built, ledger, client=provider.caller(), callers=callers)


def ask(client: CheckedClient, caller: str) -> Any:
    return client.post(
        RUN,
        json={"fields": FIELDS},
        headers={"Authorization": unsigned(client_id=caller), **BALANCED},
    )


def test_who_is_over_its_quota_is_told_so_and_others_are_answered(
    client: CheckedClient, clock: Clock
) -> None:
    assert ask(client, "shop").status_code == 200
    refused = ask(client, "shop")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "10"
    assert refused.json()["error"] == {
        "code": "over_quota",
        "message": "the quota of caller 'shop' is 6 calls a minute, and it is used up",
        "quota": {"caller": "shop", "requests_per_minute": 6},
    }
    assert ask(client, "search").status_code == 200
    clock.now += 9.5
    assert ask(client, "shop").headers["Retry-After"] == "1"
    clock.now += 0.5
    assert ask(client, "shop").status_code == 200


def test_a_caller_may_have_a_quota_of_its_own(client: CheckedClient) -> None:
    found = [ask(client, "nightly").status_code for _ in range(5)]
    assert found == [200] * 4 + [429]


def test_a_call_that_was_sent_away_uses_nothing(client: CheckedClient, clock: Clock) -> None:
    assert ask(client, "shop").status_code == 200
    for _ in range(20):
        assert ask(client, "shop").status_code == 429
    clock.now += 10
    assert ask(client, "shop").status_code == 200


def test_with_several_tasks_each_has_its_part(clock: Clock) -> None:
    settings = SETTINGS.model_copy(update={"requests_per_minute": 120, "tasks": 4})
    callers = Callers(settings, QuotaTable(threading.Lock(), clock=clock))
    headers = [(b"authorization", unsigned(client_id="shop").encode())]
    for _ in range(5):
        assert callers.admit(headers) == "shop"
    with pytest.raises(Exception, match="is 120 calls a minute"):
        callers.admit(headers)


@pytest.mark.parametrize(
    ("headers", "lacks"),
    [
        ({}, "the call has no Authorization header"),
        (BALANCED, "the call has no Authorization header"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "is not `Bearer` and a JWT"),
        ({"Authorization": "Bearer a.b"}, "is not `Bearer` and a JWT"),
        ({"Authorization": "Bearer a.b.c"}, "'client_id' names no caller"),
        ({"Authorization": bearer(b'["shop"]')}, "'client_id' names no caller"),
        ({"Authorization": unsigned(sub="shop")}, "'client_id' names no caller"),
        ({"Authorization": unsigned(client_id="")}, "'client_id' names no caller"),
        ({"Authorization": unsigned(client_id=7)}, "'client_id' names no caller"),
        ({"Authorization": unsigned(client_id="x" * 257)}, "'client_id' names no caller"),
        ({"Authorization": "Bearer a.%$&.c"}, "'client_id' names no caller"),
        # The own port lets in who has no token, not who has a bad one.
        ({"Authorization": "Bearer a.b", **OWN}, "is not `Bearer` and a JWT"),
    ],
)
def test_who_names_nobody_is_not_answered(
    client: CheckedClient, headers: dict[str, str], lacks: str
) -> None:
    refused = client.post(RUN, json={"fields": FIELDS}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unknown_caller")
    assert lacks in refused.json()["error"]["message"]
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert "Retry-After" not in refused.headers


def test_two_tokens_are_none(client: CheckedClient) -> None:
    """The balancer may have verified either of them."""
    two = [("Authorization", unsigned(client_id=name)) for name in ("shop", "nightly")]
    refused = client.post(RUN, json={"fields": FIELDS}, headers=two)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unknown_caller")


def test_containers_of_the_stage_need_no_token_and_have_no_quota(client: CheckedClient) -> None:
    for _ in range(3):
        assert client.post(RUN, json={"fields": FIELDS}, headers=OWN).status_code == 200
    # Said twice it may be a caller's own word.
    twice = [("X-Forwarded-Port", "443"), *OWN.items()]
    assert client.post(RUN, json={"fields": FIELDS}, headers=twice).status_code == 401


def test_a_caller_that_says_it_is_of_the_stage_is_counted(client: CheckedClient) -> None:
    headers = {"Authorization": unsigned(client_id="shop"), **OWN}
    found = [
        client.post(RUN, json={"fields": FIELDS}, headers=headers).status_code for _ in range(2)
    ]
    assert found == [200, 429]


def test_where_callers_are_not_told_apart_a_token_is_not_looked_at(built: Path) -> None:
    client = unstarted(built, FakeLedger())
    answer = client.post(RUN, json={"fields": FIELDS}, headers={"Authorization": "Bearer nonsense"})
    assert answer.json()["error"]["code"] == "retired"


def test_pages_need_no_token_of_their_own(client: CheckedClient) -> None:
    """The balancer asks for one; its own health check has none."""
    for path in ("/readyz", "/healthz", "/v1/tasks"):
        assert client.get(path).status_code in {200, 503}
        assert "unknown_caller" not in client.get(path).text


def test_the_log_names_the_caller_and_no_token(
    client: CheckedClient, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(client, "shop")
    for _ in range(3):
        ask(client, "shop")
    client.post(RUN, json={"fields": FIELDS}, headers=OWN)
    written = capsys.readouterr().out
    lines = [json.loads(line) for line in written.splitlines()]
    calls = [line for line in lines if line["event"] == "prompt_call"]
    assert [line.get("caller") for line in calls] == ["shop", None]
    said = [line for line in lines if line["event"] == "caller_over_quota"]
    assert [(line["caller"], line["requests_per_minute"]) for line in said] == [("shop", 6)]
    assert unsigned(client_id="shop").split(".")[1] not in written


def test_every_call_over_a_quota_is_counted_beside_those_of_an_overload(
    client: CheckedClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(4):
        ask(client, "shop")
    client.application._refusals.say()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line for line in lines if line["event"] == "calls_refused"]
    assert [(line["refused"], line["over_quota"]) for line in counted] == [(0, 3)]


def test_the_log_says_it_again_a_minute_later(
    client: CheckedClient, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        ask(client, "shop")
        ask(client, "shop")
        clock.now += 61
    assert capsys.readouterr().out.count('"caller_over_quota"') == 3


def test_memory_stays_as_it_is_however_many_callers_come(clock: Clock) -> None:
    table = QuotaTable(threading.Lock(), buckets=1, clock=clock)
    quota = Quota(60.0)
    for number in range(1000):
        assert table.take(f"caller-{number}", quota) == 0
        clock.now += 1
    # Who still owes something keeps its place while any other is free.
    clock.now += 60
    for _ in range(10):
        assert table.take("greedy", quota) == 0
    assert table.take("greedy", quota) > 0
    for number in range(WAYS - 1):
        table.take(f"other-{number}", quota)
    assert table.take("greedy", quota) > 0
    # With all of them taken, who owes least is forgotten: that is not the greedy one.
    for number in range(100):
        table.take(f"more-{number}", quota)
    assert table.take("greedy", quota) > 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "the whole: Invalid JSON"),
        ('{"claim": "sub"}', "requests_per_minute: Field required"),
        (SETTINGS.model_dump_json().replace("24", "0"), "quotas.nightly: Input should be greater"),
    ],
)
def test_wrong_settings_stop_the_service(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(aws_names.ENV_CALLERS, text)
    with pytest.raises(PromptHubError) as caught:
        Callers.from_environment(threading.Lock())
    assert reason in caught.value.message


def test_without_settings_nobody_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(aws_names.ENV_CALLERS, raising=False)
    assert Callers.from_environment(threading.Lock()) is None
