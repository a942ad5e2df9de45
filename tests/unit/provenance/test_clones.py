"""The trace of squashed promotions, and in a clone without older commits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.promotion.checkouts import World, git

pytestmark = pytest.mark.processes


@pytest.fixture
def released(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two executions have released a task each; the author has both, and is traced."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))
    world.evaluated("e1", world.push("part-class"))
    assert world.promote("e1").tasks["part-class"].outcome == "promoted"
    git(world.author.root, "pull", "--quiet", "origin", "main")
    world.author.bump("brand", "1.0.0", "1.1.0")
    world.evaluated("e2", world.push("brand"))
    assert world.promote("e2").tasks["brand"].outcome == "promoted"
    git(world.author.root, "pull", "--quiet", "--tags", "origin", "main")
    return world


def promotion(capsys: pytest.CaptureFixture[str], version: str) -> JsonObject:
    """What a trace says of the promotion of a version."""
    capsys.readouterr()
    main(["trace", version, "--json"])
    (chain,) = json.loads(capsys.readouterr().out)["chains"]
    (hop,) = [hop for hop in chain["hops"] if hop["name"] == "promotion"]
    return cast("JsonObject", hop)


@pytest.mark.parametrize("last", ["e1", "e2"])
def test_promotions_that_were_squashed_are_proven_by_their_tags(
    released: World, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text of a squash ends with the trailer of one execution, whichever made a record."""
    root = released.author.root
    git(root, "reset", "--quiet", "--soft", "HEAD~3")
    message = f"Promote two tasks (#12)\n\n* Execution: e1\n\nExecution: {last}"
    git(root, "commit", "--quiet", "-m", message)
    for version, execution in (("part-class@1.2.0", "e1"), ("brand@1.1.0", "e2")):
        hop = promotion(capsys, version)
        assert (hop["state"], hop["faults"]) == ("verified", [])
        assert cast("JsonObject", hop["facts"])["execution"] == execution


def test_a_clone_without_older_commits_accuses_nobody(
    released: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its oldest commit looks like the one that wrote every file."""
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", released.remote.as_uri(), str(clone))
    monkeypatch.setenv(aws_names.ENV_ROOT, str(clone))
    capsys.readouterr()
    assert main(["trace", "part-class@1.2.0"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert "broken" not in out + err
    assert f"{clone} lacks older commits" in err
    assert "git fetch --unshallow --tags" in err
    git(clone, "fetch", "--quiet", "--unshallow", "--tags")
    assert main(["trace", "part-class@1.2.0"]) == ExitCode.OK
