"""What an evaluation of the previous tree has paid for is not asked for again."""

from __future__ import annotations

import json

import pytest

from prompt_hub.evaluation.earlier_words import as_sealed
from tests.unit.compatibility.conftest import Hub
from tests.unit.compatibility.previous_tree import FOLDER, Copy, Json, read_json, read_lines

# Nothing listens where the models of these tests are said to be: one call would end in exit code 3.

RUN = ("execution", "commit", "started_at", "finished_at", "remembered")
"""What in a record is about the run that made it."""
SESSION = ("seconds", "cached")
"""What in an arm is about who was asked when."""


@pytest.fixture
def code_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scorers and gate under the versions of these records; today's decide anew."""
    monkeypatch.setattr("prompt_hub.evaluation.inputs.SCORERS_VERSION", "2")
    monkeypatch.setattr("prompt_hub.evaluation.inputs.GATE_VERSION", "1")


def decided(record: Json) -> Json:
    """A record without what is about its run."""
    kept = {name: value for name, value in record.items() if name not in RUN}
    for arm in ("candidate", "champion"):
        kept[arm] = {name: item for name, item in record[arm].items() if name not in SESSION}
    return kept


@pytest.mark.usefixtures("code_of_then")
@pytest.mark.parametrize(
    ("task", "execution", "code"),
    [("part-class", "execution-7", 1), ("part-judge", "local", 0), ("series", "local", 4)],
)
def test_stored_responses_answer_every_question(
    previous: Copy, hub: Hub, task: str, execution: str, code: int
) -> None:
    previous.forget_results()
    hub("evaluate", task, code=code)
    then = FOLDER / "state/results/evaluations" / execution / f"{task}.json"
    now = previous.results / "evaluations/local" / f"{task}.json"
    record = read_json(now)
    before = read_json(then)
    reasons = as_sealed(before["verdict"]["reasons"], record["verdict"]["reasons"])
    assert reasons != tuple(record["verdict"]["reasons"]), "words of then are kept, not made"
    told = {**record, "verdict": {**record["verdict"], "reasons": [*reasons]}}
    assert decided(told) == decided(before)
    assert not record["remembered"]
    for arm in ("candidate", "champion"):
        assert record[arm]["cached"] == record[arm]["n"] * record[arm]["repeats"] > 0
    answers, answers_then = (
        [{**line, "cached": True} for line in read_lines(path.with_suffix(".jsonl"))]
        for path in (now, then)
    )
    assert answers == answers_then


@pytest.mark.usefixtures("code_of_then")
def test_a_verdict_is_remembered(previous: Copy, hub: Hub) -> None:
    (message,) = json.loads(hub("evaluate", "part-class", "--json", code=1))
    then = read_json(FOLDER / "state/results/evaluations/execution-7/part-class.json")
    assert message["remembered"]
    about_the_run = {name: message[name] for name in ("execution", "commit", "remembered")}
    assert message == {**then, **about_the_run}
    details = previous.results / "evaluations/local/part-class.jsonl"
    assert (
        details.read_bytes()
        == (FOLDER / "state/results/evaluations/execution-7/part-class.jsonl").read_bytes()
    )


def test_todays_code_decides_anew_from_the_same_answers(previous: Copy, hub: Hub) -> None:
    (record,) = json.loads(hub("evaluate", "part-class", "--json", code=1))
    assert not record["remembered"]
    assert (record["scorers_version"], record["gate_version"]) == ("5", "3")
    assert record["candidate"]["cached"] == record["candidate"]["n"]


def test_records_of_an_earlier_gate_are_made_again(previous: Copy, hub: Hub) -> None:
    lines = hub("replay", "prompts/04-evals").splitlines()
    assert len(lines) == 10
    told = "scored by scorers 2 as by today's, the same, decided by gate 1 and rounded by today's"
    assert all(line.endswith(told) for line in lines)


def test_a_champion_counts_as_measured_on_the_model_of_then(previous: Copy, hub: Hub) -> None:
    previous.forget_results()
    (record,) = json.loads(hub("evaluate", "maker", "--json"))
    assert record["verdict"]["status"] == "UNCHANGED"
