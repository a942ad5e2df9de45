"""`make up` in a repository without the example: a sentence, before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


def test_what_was_added_is_in_nobodys_way(tmp_path: Path) -> None:
    local = repository(tmp_path, stages=["dev", "prod"], tasks=["brand", "mine", "part-class"])
    Lifecycle(local)._require_the_example()
