"""A bad release on its way through two stages, from the push to the repaired version in both.

Real pipeline, git, images, containers, ledgers, alarms and functions, as far as a machine has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.ledger.items import VersionState
from prompt_hub.promotion.promoter import promotion_by
from prompt_hub.repository.registry import VersionState as GitState
from tests.local_aws.release_pipeline import TASK, Release, make
from tests.unit.building import build, catalogue_answer
from tests.unit.service.fake_provider import FakeProvider, fake_provider

BAD, GOOD, REPAIRED = "1.2.0", "1.1.0", "1.3.0"
MORE_EXAMPLES = 40
ROLE = "prompts/00-templates/catalogue-role.txt"


def bad_wording_fails(messages: list[dict[str, str]]) -> object:
    """A model that went bad for the wording of the released version alone."""
    if "into classes for a catalogue" in messages[0]["content"]:
        return {"part_class": "none of them"}
    return catalogue_answer(messages)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as running:
        running.thinks = catalogue_answer
        yield running


@pytest.fixture
def release(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Release]:
    """An installation that is called otherwise than the default: each process must know it."""
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "shop")
    tree = build(tmp_path / "author")
    context = {"prompt-hub": {"installation": "shop"}}
    tree.write("cdk.json", json.dumps({"context": context}))
    examples = "prompts/01-examples/part-class.jsonl"
    more = [
        {
            "id": f"more-{number}",
            "input": {"part_number": f"R{number}", "title": f"Resistor {number} Ω 0603"},
            "expected": {"part_class": "resistor"},
            "split": "eval",
        }
        for number in range(MORE_EXAMPLES)
    ]
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in more)
    tree.write(examples, tree.read(examples) + lines)
    tree.stamp(TASK)
    model = {"provider": "openai", "base_url": provider.url}
    models = {
        "catalogue-pinned": {**model, "model": "small-model-2026-01"},
        "catalogue-latest": {**model, "model": "latest"},
    }
    made = make(tmp_path, tree, json.dumps(models))
    made.aws.start()
    try:
        yield made
    finally:
        made.aws.stop()


def test_a_rollback_in_the_first_stage_is_repaired_by_a_push_and_reaches_both(
    release: Release, provider: FakeProvider
) -> None:
    assert aws_names.pipeline() == "shop"
    # An author's version is promoted and active in the first stage; a person is asked for the next.
    first = release.create()
    release.reached_gate(first)
    assert release.pull().released == BAD
    release.serves("dev", BAD)

    # It goes bad. The stage rolls it back by itself, and the event starts the pipeline.
    provider.thinks = bad_wording_fails
    assert "exit code 0" in release.watch("dev")
    second = release.pipelines.started_by_event(aws_names.pipeline(), {first})
    release.serves("dev", GOOD)
    assert release.ledger("dev").version_states(TASK)[BAD] is VersionState.QUARANTINED

    # The same release goes on into the second stage, which does not take what the first took out.
    release.approve(first)
    told = release.said(first, "prod", "Activate")
    assert f"{TASK}: left alone, stage dev has {BAD} quarantined since" in told
    assert set(release.ledger("prod").pointers()) == {"brand"}
    release.serves("prod", None)

    # The rollback's execution writes it into git, in one commit, and brings the good one to both.
    before = release.git.git("rev-parse", "HEAD")
    release.approve(second)
    judged = evaluation_by(release.results, second, TASK)
    assert judged is not None
    assert judged.record.remembered, "nothing is paid for a candidate that is known"
    task = release.pull()
    assert task.released == GOOD
    assert task.versions[BAD].state is GitState.QUARANTINED
    assert task.versions[BAD].person == "rollback (dev)"
    assert release.git.git("rev-list", "--count", f"{before}..HEAD") == "1"
    assert release.git.git("log", "-1", "--format=%an: %s") == (
        f"prompt-hub: Roll back {TASK} {BAD}"
    )
    for stage in ("dev", "prod"):
        release.serves(stage, GOOD)

    # A repaired version is held against what really is active, and released into both stages.
    release.author.write(ROLE, "You name the class of each electronic part.\n")
    release.author.bump(TASK, BAD, REPAIRED)
    third = release.pushed("Mend the part classes")
    release.approve(third)
    assert promotion_by(release.results, third).tasks[TASK].outcome == "promoted"
    found = evaluation_by(release.results, third, TASK)
    assert found is not None
    assert found.record.champion is not None
    assert found.record.champion.version == GOOD
    task = release.pull()
    assert (task.released, task.versions[BAD].state) == (REPAIRED, GitState.QUARANTINED)
    for stage in ("dev", "prod"):
        release.serves(stage, REPAIRED)
        pointer = release.ledger(stage).pointer(TASK)
        assert pointer is not None
        assert pointer.previous is not None
        assert (pointer.version, pointer.previous.version) == (REPAIRED, GOOD)
        assert pointer.release.release == third
    executions = release.pipelines.executions(aws_names.pipeline())
    assert [item["pipelineExecutionId"] for item in executions] == [third, second, first]
