"""Somebody edits the file in which a checkout keeps a set of S3."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import LOCAL_EXECUTION, FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.repository import examples as example_files
from prompt_hub.repository.example_sets import SETS_DIR
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.llm.batch_server import BatchServer
from tests.unit.providers import FunctionProvider

TASK = "part-class"
EXAMPLES = f"prompts/01-examples/{TASK}.jsonl"


def push(*options: str) -> int:
    return main(["examples", "push", TASK, *options, "--bucket", "bucket"])


def kept_set(folder: RepositoryFolder) -> Path:
    """Return where the set that 01-examples names is kept."""
    reference = folder.repository.document(folder.path(EXAMPLES)).data
    assert isinstance(reference, dict)
    return folder.root / SETS_DIR / f"{reference['sha256']}.jsonl"


def edit(path: Path, old: bytes, new: bytes) -> bytes:
    """Change a file in place, as an editor does that was told to; return what it holds then."""
    content = path.read_bytes()
    assert old in content
    path.chmod(0o644)
    path.write_bytes(content.replace(old, new, 1))
    return path.read_bytes()


def test_an_edit_of_a_set_is_kept_and_can_be_pushed(
    healthy: RepositoryFolder, s3: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    push()
    kept = kept_set(healthy)
    content = kept.read_bytes()
    edited = edit(kept, b"Yageo", b"Vishay")
    aside = kept.with_name(f"{kept.stem}.edited-{hashlib.sha256(edited).hexdigest()[:12]}.jsonl")
    capsys.readouterr()
    assert main(["validate"]) == ExitCode.OK
    told = capsys.readouterr().err
    assert f"{kept} was changed" in told
    assert f"prompt-hub examples push {TASK} {aside}" in told
    assert (aside.read_bytes(), kept.read_bytes()) == (edited, content)
    # It is told once, and the same edit is kept once.
    assert main(["validate"]) == ExitCode.OK
    assert capsys.readouterr().err == ""
    edit(kept, b"Yageo", b"Vishay")
    assert main(["validate"]) == ExitCode.OK
    assert sorted(kept.parent.iterdir()) == sorted([kept, aside])
    assert push(str(aside)) == ExitCode.OK
    assert kept_set(healthy).read_bytes() == edited


def test_an_edit_of_a_set_stays_where_it_is_while_s3_is_away(
    healthy: RepositoryFolder, s3: BatchServer
) -> None:
    push()
    kept = kept_set(healthy)
    edited = edit(kept, b"Yageo", b"Vishay")
    s3.files.clear()
    assert main(["validate"]) == ExitCode.NOT_MEASURED
    assert (kept.read_bytes(), [*kept.parent.iterdir()]) == (edited, [kept])


def test_a_push_of_the_same_set_keeps_an_edit_of_it(
    healthy: RepositoryFolder, s3: BatchServer, tmp_path: Path
) -> None:
    original = tmp_path / "all.jsonl"
    original.write_bytes(healthy.path(EXAMPLES).read_bytes())
    push(str(original))
    kept = kept_set(healthy)
    edited = edit(kept, b"Yageo", b"Vishay")
    push(str(original))
    assert edited in [path.read_bytes() for path in kept.parent.iterdir()]


@pytest.mark.parametrize("by", ["push", "fetch"])
def test_a_kept_set_is_write_protected(healthy: RepositoryFolder, s3: BatchServer, by: str) -> None:
    push()
    kept = kept_set(healthy)
    if by == "fetch":
        kept.unlink()
        main(["examples", "fetch", TASK])
    assert kept.stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("new", [b"inductor", b"a resistor"], ids=["same length", "longer"])
def test_a_large_set_that_is_edited_while_it_is_judged_has_no_verdict(
    healthy: RepositoryFolder,
    s3: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    new: bytes,
) -> None:
    """Each example is read again from its line: labels would not be those of the set's hash."""
    monkeypatch.setattr(example_files, "FEW", 0)
    push()
    kept, results = kept_set(healthy), tmp_path / "results"
    os.utime(kept, (0, 0))  # Fetched long ago.

    def edits_at_first(messages: list[dict[str, str]]) -> JsonObject:
        if kept.stat().st_mode & 0o222 == 0:
            edit(kept, b"resistor", new)
        return catalogue_answer(messages)

    evaluator = Evaluator(
        healthy.repository,
        FunctionProvider(edits_at_first).caller(),
        FolderResults(results),
        execution=LOCAL_EXECUTION,
        commit=COMMIT,
        say=lambda line: None,
    )
    with pytest.raises(PromptHubError, match="changed while they were read") as caught:
        asyncio.run(evaluator.evaluate(TASK))
    assert caught.value.exit_code == ExitCode.NOT_MEASURED
    assert [*results.rglob("*.json*")] == []
