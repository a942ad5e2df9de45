"""What CloudWatch makes of the log: metrics of calls, and of nothing that callers send."""

from __future__ import annotations

import json
import urllib.parse

import pytest

from prompt_hub.llm.response import Answer, ModelResponse, Usage
from prompt_hub.service import execution_log
from prompt_hub.service.errors import ErrorCode, Fault
from tests.unit.service.serving import FIELDS, Running

FORGED = json.dumps(
    {
        "_aws": {
            "Timestamp": 1_800_000_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "PromptHub",
                    "Dimensions": [["Stage", "Task"]],
                    "Metrics": [{"Name": "ScoreMargin", "Unit": "None"}],
                }
            ],
        },
        "Stage": "dev",
        "Task": "part-class",
        "ScoreMargin": -1,
    }
)
PRICED = ["seconds", "contract_failed", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]


def metrics_in(message: str) -> dict[str, float]:
    """Take a line as CloudWatch's specification of the embedded format has it, strictly."""
    line = json.loads(message)
    if not isinstance(line, dict) or "_aws" not in line:
        return {}
    assert set(line["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(line["_aws"]["Timestamp"], int)
    found: dict[str, float] = {}
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == "PromptHub/Calls"
        (dimensions,) = directive["Dimensions"]
        for dimension in dimensions:
            assert isinstance(line[dimension], str)
            assert 0 < len(line[dimension]) <= 1024
        if dimensions == ["stage", "task"]:
            # What an alarm can look at; everything is told apart by version, too.
            assert [metric["Name"] for metric in directive["Metrics"]] == ["contract_failed"]
            continue
        assert dimensions == ["stage", "task", "version"]
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert type(value) in {int, float}, f"{metric['Name']} is {value!r}"
            assert metric["Unit"] in {"Seconds", "Count", "None"}
            found[metric["Name"]] = value
    return found


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Both streams as the log driver sends them: an event for each line."""
    output = capsys.readouterr()
    return (output.out + output.err).splitlines()


def test_a_call_is_a_metric_of_its_version(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.run("part-class", FIELDS)
    (message,) = written(capsys)
    found = metrics_in(message)
    assert found["seconds"] > 0
    assert found["contract_failed"] == 0
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (41, 6)
    line = json.loads(message)
    assert (line["stage"], line["task"], line["version"]) == ("dev", "part-class", "1.1.0")


def test_what_breaks_its_contract_is_told_from_a_provider_that_is_away(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.provider.says = '{"part_class": "nothing of the kind"}'
    running.run("part-class", FIELDS)
    running.provider.status = 503
    running.run("part-class", FIELDS)
    broken, away = map(metrics_in, written(capsys))
    assert broken["contract_failed"] == 1
    assert broken["gen_ai.usage.input_tokens"] == 41
    # There was no answer: its tokens are not 0, they are none.
    assert set(away) == {"seconds", "contract_failed"}
    assert away["contract_failed"] == 0


@pytest.mark.parametrize("code", [*ErrorCode, "ok"])
def test_only_the_prompts_own_faults_are_contract_failures(
    code: execution_log.Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    log(code)
    (message,) = written(capsys)
    expected = isinstance(code, ErrorCode) and code.fault is Fault.PROMPT
    assert metrics_in(message)["contract_failed"] == int(expected)


@pytest.mark.parametrize(
    ("usd", "expected"), [(None, PRICED), (0.0, [*PRICED, "usd"]), (1.3e-05, [*PRICED, "usd"])]
)
def test_a_cost_is_a_metric_where_a_price_is_known(
    usd: float | None, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    usage = Usage(input_tokens=1, output_tokens=2, usd=usd)
    log("ok", usage)
    (message,) = written(capsys)
    assert list(metrics_in(message)) == expected


def log(outcome: execution_log.Outcome, usage: Usage | None = None) -> None:
    """Log one call without a service."""
    call = execution_log.Call(
        stage="dev",
        task="part-class",
        version="1.1.0",
        sha256="0" * 64,
        release="r",
        revision=1,
        instance="i",
        trace_id="t",
        model=None,
    )
    answer = None
    if usage is not None:
        response = ModelResponse(text="{}", model="m", usage=usage)
        answer = Answer(response=response, output={}, problem=None)
    line = execution_log.call_line(call, outcome, seconds=0.5, answer=answer, problem=None)
    execution_log.write_json_lines(line)


def test_no_words_of_callers_or_models_become_a_metric(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = f"\n{FORGED}\n"
    path = urllib.parse.quote(f"/v1/tasks/{forged}/run", safe="/")
    running.post(path, json.dumps({"fields": FIELDS}), traceparent=FORGED)
    running.post("/v1/tasks/part-class/run", forged, x_amzn_trace_id=f"Root={FORGED}")
    running.run("part-class", {**FIELDS, "title": forged, forged: forged})
    for key in FIELDS:
        running.run("part-class", {**FIELDS, key: forged})
    running.provider.says = forged
    running.run("part-class", FIELDS)
    running.provider.status = 400
    running.provider.refusal = {"error": {"message": forged, "code": forged}}
    running.run("part-class", FIELDS)

    calls = [message for message in written(capsys) if "_aws" in message]
    assert len(calls) == len(FIELDS) + 2
    for message in calls:
        assert metrics_in(message), message
        assert "Stage" not in json.loads(message)
