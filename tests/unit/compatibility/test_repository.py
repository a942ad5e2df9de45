"""A prompt repository of the previous tree: valid here, every record the same, every move open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from prompt_hub.review.critique import Review
from tests.unit.compatibility.conftest import Hub
from tests.unit.compatibility.previous_tree import FOLDER, Copy, read_json, read_lines

BY_ADA = ("--person", "Ada Lovelace", "--reason", "the audit of the suppliers")
RECORDS = sorted((FOLDER / "repository/prompts/04-evals").glob("*/*.json"))


def registry_states(copy: Copy) -> dict[str, str]:
    """State by `task version`."""
    registry = yaml.safe_load((copy.root / "prompt_registry.yaml").read_text("utf-8"))
    return {
        f"{task} {version}": item["state"]
        for task, entry in registry["tasks"].items()
        for version, item in entry["versions"].items()
    }


def test_the_fixture_has_a_version_in_every_state(previous: Copy) -> None:
    assert registry_states(previous) == {
        "brand 1.0.0": "archived",
        "maker 1.0.0": "released",
        "part-class 1.0.0": "superseded",
        "part-class 1.1.0": "superseded",
        "part-class 1.2.0": "quarantined",
        "part-class 1.3.0": "downgraded",
        "part-class 1.4.0": "released",
        "part-class 1.5.0": "blocked",
        "part-judge 1.0.0": "released",
        "series 1.0.0": "released",
    }


def errors(findings: str) -> list[dict[str, object]]:
    """What a later version refuses; it may warn of more than the version of then."""
    return [found for found in json.loads(findings) if found["severity"] == "error"]


def test_the_repository_is_valid(hub: Hub) -> None:
    assert errors(hub("validate", "--json")) == []


def test_the_seals_of_then_still_hold(previous: Copy, hub: Hub) -> None:
    for task, version in (("part-class", "1.4.0"), ("maker", "1.0.0")):
        path = previous.root / f"prompts/04-evals/{task}/{version}.jsonl"
        text = path.read_text("utf-8")
        path.write_text(text.replace('"attempts":1', '"attempts":2', 1), "utf-8")
        (problem,) = errors(hub("validate", "--json", code=1))
        assert problem["field"] == f"tasks.{task}.versions.{version}.evaluation_sha256"
        path.write_text(text, "utf-8")


def test_every_record_is_made_again_byte_for_byte(previous: Copy, hub: Hub) -> None:
    message = hub("replay", "--json", "prompts/04-evals", ".prompt-hub/results/evaluations")
    made = {Path(load["record"]).as_posix(): load["same"] for load in json.loads(message)}
    stored = (FOLDER / "state/results/evaluations").rglob("*.json")
    assert len(made) == len(RECORDS) + len([*stored])
    assert set(made.values()) == {True}


def test_records_of_every_kind_are_among_them() -> None:
    local = FOLDER / "state/results/evaluations/local"
    scorers, seen = set(), set()
    for path in (*RECORDS, *local.glob("*.json")):
        record = read_json(path)
        seen |= {name for name in ("champion", "judge", "agreement") if record[name] is not None}
        seen |= {record["verdict"]["status"]}
        seen |= {"no champion"} if record["champion"] is None else set()
        seen |= {"overridden"} if record["verdict"]["overridden_by"] else set()
        seen |= {"looked again"} if record["verdict"]["looks"] > 1 else set()
        for line in read_lines(path.with_suffix(".jsonl")):
            seen |= {name for name in ("problem", "repeat") if name in line}
            for part in line["parts"]:
                scorers.add(part["scorer"].partition(":")[0])
                seen |= {name for name in ("loss", "votes", "fields") if name in part}
    assert scorers == {"json_fields", "judge", "python", "injection", "text", "number"}
    assert seen == {
        *("PASS", "BLOCK", "INCONCLUSIVE", "overridden", "looked again"),
        *("champion", "no champion", "judge", "agreement"),
        *("problem", "repeat", "loss", "votes", "fields"),
    }


def test_a_promotion_that_died_half_way_is_finished(previous: Copy, hub: Hub) -> None:
    previous.leave_half_a_promotion()
    hub("validate")
    assert registry_states(previous)["maker 1.0.0"] == "archived"
    assert not (previous.root / "prompts/02-production/maker.yaml").exists()
    assert (previous.root / "prompts/99-archive/maker/1.0.0.yaml").exists()
    assert not (previous.root / ".prompt-hub/transaction").exists()


def test_a_candidate_that_was_evaluated_there_is_promoted_here(previous: Copy, hub: Hub) -> None:
    hub("promote", "promote", "part-judge")
    assert registry_states(previous)["part-judge 1.1.0"] == "released"
    assert registry_states(previous)["part-judge 1.0.0"] == "superseded"
    hub("validate")
    hub("replay", "prompts/04-evals")


MOVES: dict[str, tuple[list[str], str, str | None]] = {
    "downgrade": (["downgrade", "part-class", "--to", "1.1.0"], "downgraded", "1.1.0"),
    "insist": (
        ["downgrade", "part-class", "--to", "1.3.0", "--override"],
        "downgraded",
        "1.3.0",
    ),
    "quarantine": (
        ["quarantine", "part-class", "--version", "1.4.0", "--to", "1.0.0"],
        "quarantined",
        "1.0.0",
    ),
    "archive": (["archive", "part-class"], "archived", None),
}
"""Words of the command, what becomes of the released 1.4.0, and what is released then."""


@pytest.mark.parametrize("name", MOVES)
def test_a_move_by_hand_leaves_a_valid_repository(previous: Copy, hub: Hub, name: str) -> None:
    words, state, reached = MOVES[name]
    before = registry_states(previous)
    hub("promote", *words, *BY_ADA)
    moved = {"part-class 1.4.0": state}
    if reached:
        moved[f"part-class {reached}"] = "released"
    assert registry_states(previous) == {**before, **moved}
    hub("validate")


def test_an_override_by_hand_is_written_as_it_was(previous: Copy, hub: Hub) -> None:
    """The decision of then and one of now stand in the metadata under the same names."""
    hub("promote", "override", "part-class", *BY_ADA)
    then, now = (
        yaml.safe_load((previous.root / f"prompts/03-metadata/{task}.yaml").read_text("utf-8"))
        for task in ("maker", "part-class")
    )
    assert then["override"].keys() == now["override"].keys()
    assert now["override"]["version"] == "1.5.0"
    hub("validate")


def test_a_review_is_read_and_written_the_same() -> None:
    text = (FOLDER / "repository/prompts/04-evals/part-class/reviews/1.5.0.json").read_text("utf-8")
    review = Review.model_validate_json(text)
    assert review.to_json() == text
    assert {finding.citation for finding in review.findings} == {"invented", "moved"}
