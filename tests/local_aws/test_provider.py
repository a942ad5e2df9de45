"""`make degrade` and `make recover`: another model behind a name, and whom that concerns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws import __main__ as command
from local_aws.aliases import FLOATING, aliases, set_alias
from local_aws.provider import behind, degrade, recover
from local_aws.scripted_model import SCRIPTED
from local_aws.stack import PINNED, LocalStack
from local_aws.weights import DEFAULT, SMALL

SETTINGS = '{"context": {"prompt-hub": {"region": "us-east-1", "branch": "main"}}}'
PROMPT = "task: mounting\nversion: {}\nmodel:\n  alias: {}\n"


def pointer(task: str, version: str, previous: str | None) -> dict[str, object]:
    before = None if previous is None else {"version": previous}
    return {"task": task, "version": version, "previous": before}


@pytest.fixture
def stack(tmp_path: Path) -> LocalStack:
    """A stack with one release in its remote: 0.2.0 on the floating alias, 0.1.0 pinned."""
    root = tmp_path / "checkout"
    released = root / "prompts" / "02-production" / "mounting.yaml"
    archived = root / "prompts" / "99-archive" / "mounting" / "0.1.0.yaml"
    for path, text in {
        root / "cdk.json": SETTINGS,
        released: PROMPT.format("0.2.0", FLOATING),
        archived: PROMPT.format("0.1.0", PINNED),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    local = LocalStack(root, tmp_path / "state")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    local.git("init", "--quiet", "--initial-branch=main", str(root))
    local.git("-C", str(root), "add", "--all")
    local.git(*identity, "-C", str(root), "commit", "--quiet", "--message", "Release")
    local.git("clone", "--quiet", "--bare", str(root), str(local.remote))
    return local


def test_a_weaker_model_is_put_behind_the_name_and_the_usual_one_again(stack: LocalStack) -> None:
    assert behind(stack) == f"{FLOATING} is {DEFAULT.name}"
    list(degrade(stack, []))
    assert aliases(stack.state / "model")[FLOATING] == SMALL.name
    assert behind(stack).endswith("a weaker one: `make recover` puts the usual one back")
    list(recover(stack))
    assert aliases(stack.state / "model")[FLOATING] == DEFAULT.name


def test_what_a_killed_run_over_records_left_behind_both_names_is_said_and_put_right(
    stack: LocalStack,
) -> None:
    state = stack.state / "model"
    for name in (FLOATING, DEFAULT.name):
        set_alias(state, name, SCRIPTED)
    assert behind(stack) == (
        f"{FLOATING} is {SCRIPTED}, which answers without weights; unless `make records` runs,"
        " `make recover` puts the usual one back"
    )
    list(recover(stack))
    assert aliases(state) == {FLOATING: DEFAULT.name, DEFAULT.name: DEFAULT.name}


def test_it_names_the_versions_that_get_worse_their_way_back_and_the_next_command(
    stack: LocalStack,
) -> None:
    message = "\n".join(degrade(stack, [pointer("mounting", "0.2.0", "0.1.0")]))
    assert f"mounting 0.2.0 asks for it; its way back 0.1.0 asks for {PINNED}\n" in message
    assert "prompt-hub watch mounting --stage dev --now --wait" in message


@pytest.mark.parametrize(
    ("previous", "outlook"),
    [
        (None, "it has no way back, so people are told"),
        ("0.2.0", f"asks for {FLOATING}, too: if both fall it is frozen and people are told"),
    ],
)
def test_what_no_rollback_can_mend_is_said_before(
    stack: LocalStack, previous: str | None, outlook: str
) -> None:
    message = "\n".join(degrade(stack, [pointer("mounting", "0.2.0", previous)]))
    assert outlook in message


def test_where_nothing_asks_for_the_name_it_says_what_would(stack: LocalStack) -> None:
    pinned = pointer("mounting", "0.1.0", None)
    retired = {**pointer("mounting", "0.2.0", None), "retired": True}
    message = "\n".join(degrade(stack, [pinned, retired]))
    assert f"no active version asks for {FLOATING}" in message


@pytest.mark.parametrize("word", ["degrade", "recover"])
def test_where_nothing_runs_nothing_is_changed(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([word, "--state", str(tmp_path / "state")]) == 1
    assert "the local AWS does not run: `make up` starts it" in capsys.readouterr().err
    assert not (tmp_path / "state" / "model").exists()


def test_a_clone_that_a_local_aws_made_starts_no_other_one_in_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cloud.json").write_text(json.dumps({}), encoding="utf-8")
    monkeypatch.setattr(command, "ROOT", tmp_path / "author")
    assert command.main(["status"]) == 1
    assert "run `make` in the folder where you ran `make up`" in capsys.readouterr().err
