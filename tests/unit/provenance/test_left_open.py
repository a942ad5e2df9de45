"""The trace of a candidate that was left open: git has its record, the registry no entry of it."""

from __future__ import annotations

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.store import logged_record
from prompt_hub.gate.types import Status
from tests.unit.promotion.checkouts import World, git

TASK = "part-class"


def judged(world: World) -> Status:
    """Promote what the author has, and return the verdict on it that git has."""
    world.evaluated("e1", world.push("candidate"))
    world.promote("e1")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    record = logged_record(world.author.repository, TASK, "1.2.0")
    assert record is not None
    return record.verdict.status


@pytest.fixture
def author(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))
    return world


@pytest.mark.processes
def test_a_candidate_that_was_left_open_is_no_broken_chain(
    author: World, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = f"prompts/03-metadata/{TASK}.yaml"
    author.author.edit(metadata, "margin: 0.5, confidence: 0.9", "margin: 0.01, confidence: 0.99")
    assert judged(author) is Status.INCONCLUSIVE
    capsys.readouterr()
    assert main(["trace", f"{TASK}@1.2.0"]) == ExitCode.OK
    hops = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for name in ("version", "promotion"):
        assert hops[name].split()[1] == "none"
        assert "left open: " in hops[name]
    assert hops["model"].split()[1] == "verified"


@pytest.mark.processes
def test_a_released_version_without_an_entry_is_a_broken_chain(
    author: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(author) is Status.PASS
    author.author.write("prompt_registry.yaml", "schema: prompt-hub/registry@1\ntasks: {}\n")
    author.push("a registry that forgot everything")
    assert main(["trace", f"{TASK}@1.2.0"]) == ExitCode.BLOCKED
    assert "BROKEN version: found no part-class 1.2.0" in capsys.readouterr().out
