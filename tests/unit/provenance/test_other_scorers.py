"""The trace of a record by other scorers: nobody forged it, and what is forged is found."""

from __future__ import annotations

import json
import unicodedata
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.core.hashing import evidence_sha256
from prompt_hub.evaluation.results import LOCAL_EXECUTION
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring import SCORERS_VERSION
from tests.unit.building import catalogue_answer
from tests.unit.promotion.checkouts import World, git

pytestmark = pytest.mark.processes

TRACE = ("trace", "brand@1.1.0", "--json")
RECORD = "prompts/04-evals/brand/1.1.0.json"
EXAMPLES = "prompts/01-examples/brand.jsonl"
Hops = dict[str, JsonObject]


def raised(messages: list[dict[str, str]]) -> JsonObject:
    """Right by scorers 2, to which 10³ is 103, and once wrong by today's."""
    answer = catalogue_answer(messages)
    return {"brand": "Murata 10³"} if answer == {"brand": "Murata"} else answer


def score_by(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_hub.evaluation.inputs.SCORERS_VERSION", version)
    monkeypatch.setattr(
        "prompt_hub.scoring.comparison.normalise",
        lambda text: " ".join(unicodedata.normalize("NFKC", text).casefold().split()),
    )


@pytest.fixture(params=["an execution", "a machine", "a machine, before it was committed"])
def released(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A version that scorers 2 have released."""
    return _release(world, "2", request.param, monkeypatch)


def _release(world: World, version: str, by: str, monkeypatch: pytest.MonkeyPatch) -> World:
    author = world.author
    monkeypatch.setenv(aws_names.ENV_ROOT, str(author.root))
    before = world.push("before")
    author.bump("brand", "1.0.0", "1.1.0")
    author.edit(EXAMPLES, '"Murata"', '"Murata 103"')
    with monkeypatch.context() as then:
        if version != SCORERS_VERSION:
            score_by(version, then)
        if by == "an execution":
            world.evaluated("e1", world.push("candidate"), raised)
            assert world.promote("e1").tasks["brand"].outcome == "promoted"
            git(author.root, "pull", "--quiet", "origin", "main")
        else:
            commit = before if "before" in by else world.push("candidate")
            author.promote("brand", raised, execution=LOCAL_EXECUTION, commit=commit)
            world.push("release")
    return world


def _reseal(world: World, old: str, new: str) -> None:
    """Edit the record, and the seal in the registry with it, as a thorough person would."""
    record, details = world.author.path(RECORD), world.author.path(f"{RECORD}l").read_bytes()
    before = evidence_sha256(record.read_bytes(), details)
    world.author.edit(RECORD, old, new)
    world.author.edit("prompt_registry.yaml", before, evidence_sha256(record.read_bytes(), details))
    world.push("nothing to see here")


def _traced(capsys: pytest.CaptureFixture[str], code: ExitCode) -> Hops:
    capsys.readouterr()
    assert main([*TRACE]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["whole"] == (code is ExitCode.OK)
    return {hop["name"]: hop for hop in told["chains"][0]["hops"]}


def _states(hops: Hops, *names: str) -> set[object]:
    return {hops[name]["state"] for name in names}


def _broken(hops: Hops) -> list[str]:
    return [name for name, hop in hops.items() if hop["state"] == "broken"]


def test_scores_of_earlier_scorers_are_not_called_an_edit(
    released: World, capsys: pytest.CaptureFixture[str]
) -> None:
    hops = _traced(capsys, ExitCode.OK)
    assert _states(hops, "evaluation", "scorers") == {"not-compared"}
    assert _states(hops, "version", "examples", "metadata", "model", "commit") == {"verified"}
    for name in ("evaluation", "scorers"):
        assert hops[name]["faults"] == []
        *_, note = cast("list[str]", hops[name]["notes"])
        assert note.startswith(f"not made again: scorers 2 then, {SCORERS_VERSION} now: since 3, a")


@pytest.mark.parametrize("version", ["2", "99"])
def test_a_forged_record_of_other_scorers_is_found(
    world: World, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, version, "an execution", monkeypatch)
    _reseal(world, '"looks": 1', '"looks": 2')
    hops = _traced(capsys, ExitCode.BLOCKED)
    assert _broken(hops) == ["evaluation"]
    (fault,) = cast("list[dict[str, str]]", hops["evaluation"]["faults"])
    assert fault["found"] == "verdict.looks: 2 in the record, 1 made again"
    assert fault["mend"].startswith("Undo the edit")


def test_a_score_without_its_answers_is_found(
    released: World, capsys: pytest.CaptureFixture[str]
) -> None:
    details = released.author.path(f"{RECORD}l")
    lines = details.read_text("utf-8").splitlines(keepends=True)
    details.write_text("".join(lines[1:]), "utf-8")
    released.push("an answer less")
    assert _broken(_traced(capsys, ExitCode.BLOCKED)) == ["evaluation"]


@pytest.mark.parametrize("by", ["an execution", "a machine, before it was committed"])
def test_scorers_that_are_not_known_are_said_to_be_so(
    world: World, by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, "99", by, monkeypatch)
    hops = _traced(capsys, ExitCode.OK)
    assert _states(hops, "evaluation", "scorers") == {"not-compared"}
    assert _states(hops, "version", "examples", "metadata", "model", "commit") == {"verified"}
    note = f"scorers 99 then, {SCORERS_VERSION} now: this version of Prompt Hub does not know"
    assert note in str(hops["evaluation"]["notes"])


@pytest.mark.parametrize("version", ["4", "99"])
def test_scorers_that_never_made_the_record_are_found(
    world: World, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, SCORERS_VERSION, "an execution", monkeypatch)
    now = f'"scorers_version": "{SCORERS_VERSION}"'
    _reseal(world, now, f'"scorers_version": "{version}"')
    hops = _traced(capsys, ExitCode.BLOCKED)
    assert _broken(hops) == ["evaluation"]
    assert "digest: " in str(hops["evaluation"]["faults"])


def test_a_gate_that_is_not_known_is_said_and_other_inputs_are_found(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, "99", "an execution", monkeypatch)
    _reseal(world, '"gate_version": "3"', '"gate_version": "9"')
    hops = _traced(capsys, ExitCode.OK)
    assert "not made again: gate 9 then, 3 now: this version" in str(hops["scorers"]["notes"])
    digest = json.loads(world.author.read(RECORD))["examples_sha256"]
    _reseal(world, digest, "f" * 64)
    assert _broken(_traced(capsys, ExitCode.BLOCKED)) == ["examples"]


def test_a_forged_record_that_came_into_git_with_its_examples_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, SCORERS_VERSION, "a machine, before it was committed", monkeypatch)
    assert _states(_traced(capsys, ExitCode.OK), "evaluation", "scorers") == {"verified"}
    _reseal(world, '"looks": 1', '"looks": 2')
    assert _broken(_traced(capsys, ExitCode.BLOCKED)) == ["evaluation"]


def test_a_replay_sends_nobody_to_a_commit_for_the_scorers_of_then(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _release(world, "2", "an execution", monkeypatch)
    capsys.readouterr()
    assert main(["replay", str(world.author.path(RECORD))]) == ExitCode.BLOCKED
    told = capsys.readouterr().out
    assert f"scorers: 2 then, {SCORERS_VERSION} now: since 3" in told
    assert "look" not in told
