"""`make up` in a repository without the example: a sentence, before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws import __main__ as command
from local_aws.lifecycle import Lifecycle
from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack

ROOT = Path(__file__).resolve().parents[2]


def repository(root: Path, *, stages: list[str], tasks: list[str]) -> LocalStack:
    settings = {"region": "us-east-1", "stages": [{"name": name} for name in stages]}
    context = {"context": {"prompt-hub": settings}}
    (root / "cdk.json").write_text(json.dumps(context), encoding="utf-8")
    (root / "local_aws").symlink_to(ROOT / "local_aws")
    examples = root / "prompts" / "01-examples"
    examples.mkdir(parents=True)
    for task in tasks:
        (examples / f"{task}.jsonl").write_text("", encoding="utf-8")
    return LocalStack(root, root / "state")


@pytest.mark.parametrize(
    ("stages", "tasks", "lacks"),
    [
        (["prod"], ["brand", "part-class"], "cdk.json has no stage dev"),
        (["dev"], ["brand"], "prompts has no task part-class"),
        (["prod"], ["mine"], "no stage dev, prompts has no task brand, prompts has no task part"),
    ],
)
def test_it_says_what_the_story_lacks_and_starts_nothing(
    tmp_path: Path, stages: list[str], tasks: list[str], lacks: str
) -> None:
    local = repository(tmp_path, stages=stages, tasks=tasks)
    with pytest.raises(LocalRunError, match=lacks):
        Lifecycle(local).up()
    assert not local.state.exists()


@pytest.mark.parametrize(
    ("layer", "text", "lacks"),
    [
        (
            "02-production",
            "version: 1.2.0\n",
            "is 1.2.0 already, and the story releases 1.1.0",
        ),
        ("02-production", "version: 1.1.0\n", "part-class is 1.1.0 already"),
        ("03-metadata", "up_to_date: {examples: a}\n", "examples or contracts of part-class are"),
    ],
)
def test_it_says_which_task_has_gone_on_without_it(
    tmp_path: Path, layer: str, text: str, lacks: str
) -> None:
    local = repository(tmp_path, stages=["dev"], tasks=["brand", "part-class"])
    folder = tmp_path / "prompts" / layer
    folder.mkdir()
    (folder / "part-class.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LocalRunError, match=lacks):
        Lifecycle(local).up()
    assert not local.state.exists()
    # A story that was told is not told again.
    local.state.mkdir()
    (local.state / "told.json").write_text("{}", encoding="utf-8")
    Lifecycle(local)._require_the_example()


@pytest.mark.shipped
def test_the_example_that_is_shipped_is_that_of_the_story(tmp_path: Path) -> None:
    Lifecycle(LocalStack(ROOT, tmp_path / "state"))._require_the_example()


def test_a_checkout_that_was_moved_is_said_before_anything_is_started(tmp_path: Path) -> None:
    local = repository(tmp_path, stages=["dev"], tasks=["brand", "part-class"])
    local.state.mkdir()
    made_as = tmp_path / "before" / "state"
    settings = json.dumps({"port": 1, "state": str(made_as / "cloud")})
    (local.state / "cloud.json").write_text(settings, encoding="utf-8")
    with pytest.raises(LocalRunError, match=f"was made as {made_as}, and its clones"):
        local.start()
    assert [path.name for path in local.state.iterdir()] == ["cloud.json"]


def test_what_was_added_is_in_nobodys_way(tmp_path: Path) -> None:
    local = repository(tmp_path, stages=["dev", "prod"], tasks=["brand", "mine", "part-class"])
    Lifecycle(local)._require_the_example()


def test_a_branch_that_the_settings_leave_out_is_the_default_one(tmp_path: Path) -> None:
    assert repository(tmp_path, stages=["dev"], tasks=[]).branch == "main"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"context": {"prompt-hub": {"stages": []},}}', "cdk.json cannot be read: "),
        ('{"context": {}}', "cdk.json has no settings in context.prompt-hub"),
        (None, "cdk.json cannot be read: "),
    ],
)
def test_settings_that_are_none_are_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    found: str,
) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    if text is not None:
        (root / "cdk.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(command, "ROOT", root)
    assert command.main(["up", "--state", str(tmp_path / "state")]) == 1
    assert f"local run failed: {root}/{found}" in capsys.readouterr().err
