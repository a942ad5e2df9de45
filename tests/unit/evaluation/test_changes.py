"""Which tasks a pull request concerns, and what evaluating them leaves where."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from prompt_hub.cli.evaluate import exit_code_of
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.changes import has_changed
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.providers import ALIASES, FunctionProvider

CALLER = ModelClient(ALIASES, FunctionProvider(catalogue_answer))
TASKS = ("brand", "part-class")
MODEL_OF_PINNED = next(model.model for model in ALIASES if model.alias == "catalogue-pinned")


@pytest.fixture
def before(healthy: RepositoryFolder, tmp_path: Path) -> RepositoryFolder:
    """The repository as it was, a copy."""
    shutil.copytree(healthy.root, tmp_path / "before")
    return RepositoryFolder(tmp_path / "before")


def changed(now: RepositoryFolder, before: RepositoryFolder) -> list[str]:
    return [task for task in TASKS if has_changed(task, now.repository, before.repository, CALLER)]


def test_nothing_has_changed_where_every_file_is_the_same(
    healthy: RepositoryFolder, before: RepositoryFolder
) -> None:
    assert changed(healthy, before) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "tasks"),
    [
        ("00-templates/catalogue-role.txt", "You sort", "You put", ["part-class"]),
        ("00-templates/brand.yaml", "{alias: catalogue-latest", "{ alias: catalogue-latest", []),
        ("03-metadata/brand.yaml", "threshold: 0.7", "threshold: 0.6", ["brand"]),
        ("01-examples/part-class.jsonl", "NPN transistor 45", "NPN transistor 46", ["part-class"]),
    ],
    ids=["an include", "spaces alone", "the threshold", "an example"],
)
def test_a_task_has_changed_with_whatever_decides_its_verdict(
    healthy: RepositoryFolder,
    before: RepositoryFolder,
    file: str,
    old: str,
    new: str,
    tasks: list[str],
) -> None:
    healthy.edit(f"prompts/{file}", old, new)
    assert changed(healthy, before) == tasks


def test_a_task_that_was_not_there_or_not_whole_has_changed(
    healthy: RepositoryFolder, before: RepositoryFolder
) -> None:
    before.path("prompts/03-metadata/brand.yaml").unlink()
    before.write("prompts/00-templates/part-class.yaml", "{")
    assert changed(healthy, before) == [*TASKS]


def test_a_released_version_has_changed_with_its_model(
    healthy: RepositoryFolder, before: RepositoryFolder
) -> None:
    models = {
        alias: ModelConfig(alias=alias, provider="openai", model="another")
        for alias in ("catalogue-pinned", "catalogue-latest")
    }
    caller = ModelClient(ModelAliases(models), FunctionProvider(catalogue_answer))
    assert has_changed("brand", healthy.repository, before.repository, caller)


def test_a_candidate_has_changed_with_the_model_that_it_had_before(
    healthy: RepositoryFolder, before: RepositoryFolder
) -> None:
    """It waits for its release: no file of it has changed, and nothing registered its model."""

    def tasks(*models: ModelConfig) -> list[str]:
        then = ModelAliases({model.alias: model for model in models})
        now, old = healthy.repository, before.repository
        return [task for task in TASKS if has_changed(task, now, old, CALLER, then)]

    pinned = {model.alias: model for model in ALIASES}["catalogue-pinned"]
    other = ModelConfig(alias=pinned.alias, provider="openai", model="another")
    latest = [model for model in ALIASES if model.alias != pinned.alias]
    assert tasks(pinned, *latest) == []
    assert tasks(other, *latest) == ["part-class"]
    assert tasks() == [*TASKS]


# --- The command -------------------------------------------------------------------------------

Git = Callable[..., str]


@pytest.fixture
def git(healthy: RepositoryFolder) -> Git:
    """A commit of the repository, and git in it."""

    def run(*words: str) -> str:
        author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
        return subprocess.run(
            ["git", *author, *words],
            cwd=healthy.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    run("init", "--quiet")
    healthy.write(".gitignore", ".prompt-hub/\n")
    run("add", "--all")
    run("commit", "--quiet", "--message", "before")
    return run


class Model:
    """A model that is right but where it is asked for `wrong`.

    It has the names that the released versions were measured on.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.wrong = ""

    def __call__(self, path: str, sent: JsonObject) -> tuple[int, object]:
        self.calls += 1
        question = cast(Any, sent["messages"])[-1]["content"]
        if self.wrong and self.wrong in question:
            return 200, completion('{"part_class": "diode"}')
        return 200, completion(json.dumps(catalogue_answer(cast(Any, sent["messages"]))))


def entries(url: str) -> str:
    return json.dumps(
        {
            model.alias: {
                "provider": "openai",
                "model": model.model,
                "base_url": f"{url}/v1",
            }
            for model in ALIASES
        }
    )


@pytest.fixture
def here(healthy: RepositoryFolder, git: Git, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    for name in (aws_names.ENV_EXECUTION, aws_names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    return healthy


@pytest.mark.processes
def test_only_what_has_changed_since_a_commit_is_evaluated(
    here: RepositoryFolder,
    git: Git,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(model := Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        assert main(["evaluate", "--changed-since", "HEAD"]) == ExitCode.OK
        assert capsys.readouterr().out == ("nothing to evaluate: no task has changed since HEAD\n")
        assert model.calls == 0

        here.edit("prompts/03-metadata/part-class.yaml", "threshold: 0.7", "threshold: 0.6")
        git("commit", "--quiet", "--all", "--message", "after")
        assert main(["evaluate", "--changed-since", "HEAD~1", "--json"]) == ExitCode.OK
        records = json.loads(capsys.readouterr().out)
        assert [(record["task"], record["verdict"]["status"]) for record in records] == [
            ("part-class", "PASS")
        ]
        same = ("evaluate", "--changed-since", "HEAD", "--models-before")
        was = entries(url).replace(MODEL_OF_PINNED, "another")
        assert main([*same, entries(url)]) == ExitCode.OK
        assert "nothing to evaluate" in capsys.readouterr().out
        assert main([*same, was, "--json"]) == ExitCode.OK
        assert [record["task"] for record in json.loads(capsys.readouterr().out)] == ["part-class"]
        asked = model.calls
        assert main(["evaluate", "brand", "--changed-since", "HEAD~1"]) == ExitCode.OK
        assert model.calls == asked


@pytest.mark.processes
def test_after_a_verdict_it_says_where_to_look(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here.edit(
        "prompts/01-examples/part-class.jsonl",
        '"diode"}, "split": "eval"}\n{"id": "2N',
        ('"resistor"}, "split": "eval"}\n{"id": "2N'),
    )
    here.stamp("part-class")
    report = "every example: prompt-hub report evaluation part-class --html part-class.html"
    with serving(Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        main(["evaluate", "part-class"])
        told = capsys.readouterr().out
        assert "the worst of 1 example without the full score:" in told
        assert 'expected  {"part_class": "resistor"}' in told
        assert report in told
        # The pipeline's log keeps no example's values.
        main(["evaluate", "part-class", "--record"])
        assert report not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((), ExitCode.OK),
        ((Status.UNCHANGED, Status.PASS), ExitCode.OK),
        ((Status.PASS, Status.INCONCLUSIVE), ExitCode.INCONCLUSIVE),
        ((Status.INCONCLUSIVE, Status.NOT_MEASURED), ExitCode.NOT_MEASURED),
        ((Status.BLOCK, Status.INCONCLUSIVE), ExitCode.BLOCKED),
        ((Status.NOT_MEASURED, Status.BLOCK, Status.PASS), ExitCode.BLOCKED),
    ],
)
def test_of_several_verdicts_the_one_that_weighs_most_is_the_exit_code(
    verdicts: tuple[Status, ...], code: ExitCode
) -> None:
    assert exit_code_of(verdicts) is code


@pytest.mark.processes
def test_of_a_version_that_was_taken_out_nobody_is_told_to_push_it(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promotion would leave it alone, and end green: who pushed it would wait for nothing."""
    here.promote("part-class")
    signed = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")
    assert main(["promote", "downgrade", "part-class", "--to", "1.1.0", *signed]) == ExitCode.OK
    with serving(Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        assert main(["evaluate", "part-class"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "part-class 1.2.0: PASS" in told
    why = "1.2.0 was downgraded (customers see wrong units); raise the version"
    assert f"no push releases it: {why}" in told
    assert "commit and push" not in told


@pytest.mark.processes
def test_words_that_did_harm_are_pushed_under_another_number_by_name_only(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Validation has nothing against them: the next to say so would be a red execution."""
    signed = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")
    here.promote("part-class")
    quarantine = ["promote", "quarantine", "part-class", "--version", "1.2.0", "--to", "1.1.0"]
    assert main([*quarantine, *signed]) == ExitCode.OK

    def evaluate() -> str:
        capsys.readouterr()
        assert main(["evaluate", "part-class"]) == ExitCode.OK
        return capsys.readouterr().out

    with serving(Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        told = evaluate()
        assert "(customers see wrong units); mend the prompt and raise the version" in told
        here.bump("part-class", "1.2.0", "1.3.0")
        assert here.errors() == []
        told = evaluate()
        assert "part-class 1.3.0: PASS" in told
        assert "no push releases it: part-class 1.3.0 is a candidate" in told
        assert "its content is that of 1.2.0, which did harm and is quarantined. Mend" in told
        assert "commit and push" not in told
        assert main(["promote", "override", "part-class", *signed]) == ExitCode.OK
        told = evaluate()
    assert "no push releases it" not in told
    assert "commit and push" in told


@pytest.mark.processes
@pytest.mark.parametrize(
    ("file", "old", "new", "changed", "have"),
    [
        ("01-examples/part-class.jsonl", "Yageo", "Vishay", "examples", "have"),
        ("03-metadata/part-class.yaml", "threshold: 0.7", "threshold: 0.6", "metadata", "has"),
        ("00-templates/catalogue-role.txt", "You sort", "You put", "candidate", None),
    ],
)
def test_what_changed_while_it_was_measured_is_told(
    here: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    old: str,
    new: str,
    changed: str,
    have: str | None,
) -> None:
    edited = here.path(f"prompts/{file}")
    content = edited.read_text("utf-8").replace(old, new)

    class Saving(Model):
        def __call__(self, path: str, sent: JsonObject) -> tuple[int, object]:
            edited.write_text(content, "utf-8")
            return super().__call__(path, sent)

    with serving(Saving()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        assert main(["evaluate", "part-class"]) == ExitCode.OK
        told = capsys.readouterr().out
        assert have is None or f"  note: The {changed} {have} changed since" in told
        assert f"the {changed} changed while this was measured: run prompt-hub evaluate" in told
        assert "to release it" not in told
        assert main(["promote", "release", "part-class"]) == ExitCode.BLOCKED
        capsys.readouterr()
        assert main(["evaluate", "part-class"]) == ExitCode.OK
    assert "note:" not in capsys.readouterr().out


@pytest.mark.processes
def test_own_attempts_have_a_history(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here.root / ".prompt-hub" / "results")
    assert main(["history", "part-class"]) == ExitCode.OK
    assert "nothing of part-class was judged" in capsys.readouterr().out
    wrong = "ERJ-3EKF1001V"
    role = "prompts/00-templates/catalogue-role.txt"
    with serving(model := Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        for text in ("First try.\n", "Second try.\n"):
            here.write(role, text)
            model.wrong = wrong if text.startswith("Second") else ""
            main(["evaluate", "part-class"])
        main(["evaluate", "brand"])
    capsys.readouterr()
    assert main(["history", "part-class"]) == ExitCode.OK
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert "1.2.0    PASS         1.000 of 0.700 on 6 examples" in first
    assert "0.833 of 0.700 on 6 examples" in second
    assert [line.strip() for line in rest] == [f"lost 1: {wrong}"]
    assert main(["history", "part-class", "--json"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert [entry["lost"] for entry in listed] == [[], [wrong]]


@pytest.mark.processes
def test_attempts_have_a_history_here_wherever_verdicts_are_kept(
    here: RepositoryFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.rmtree(here.root / ".prompt-hub" / "results")
    bucket = FolderResults(tmp_path / "bucket")
    for command in ("evaluate", "report"):
        place = f"prompt_hub.cli.{command}.results_from_environment"
        monkeypatch.setattr(place, lambda root, *, read_only=False: bucket)
    wrong = "ERJ-3EKF1001V"
    with serving(model := Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        for text in ("First try.\n", "Second try.\n"):
            here.write("prompts/00-templates/catalogue-role.txt", text)
            model.wrong = wrong if text.startswith("Second") else ""
            main(["evaluate", "part-class"])
        main(["evaluate", "brand"])
    capsys.readouterr()
    assert main(["history", "part-class", "--json"]) == ExitCode.OK
    assert [entry["lost"] for entry in json.loads(capsys.readouterr().out)] == [[], [wrong]]
    assert main(["diff", "part-class", "previous", "candidate"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "[-First-]{+Second+} try." in told
    assert "examples: 0 won, 1 lost, 5 the same" in told


@pytest.mark.processes
def test_a_commit_that_the_clone_has_not_is_a_sentence(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_MODELS, entries("http://127.0.0.1:9"))
    assert main(["evaluate", "--changed-since", "f" * 40]) != ExitCode.OK
    assert f"this clone has no commit {'f' * 40}" in capsys.readouterr().err


@pytest.mark.processes
def test_the_last_edit_is_held_against_what_was_tried_before(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here.root / ".prompt-hub" / "results")
    diff = ["diff", "part-class", "previous", "candidate"]
    assert main(diff) == ExitCode.USAGE
    assert "no other attempt at part-class was judged here" in capsys.readouterr().err
    wrong = "ERJ-3EKF1001V"
    with serving(model := Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        for text in ("First try.\n", "Second try.\n"):
            here.write("prompts/00-templates/catalogue-role.txt", text)
            model.wrong = wrong if text.startswith("Second") else ""
            main(["evaluate", "part-class"])
    capsys.readouterr()
    assert main(diff) == ExitCode.OK
    told = capsys.readouterr().out
    assert "[-First-]{+Second+} try." in told
    assert "examples: 0 won, 1 lost, 5 the same" in told
    assert f"lost  1.000 → 0.000  {wrong}" in told
    for kept in (here.root / ".prompt-hub" / "results" / "attempts").iterdir():
        kept.unlink()
    assert main(diff) == ExitCode.USAGE
    assert "was not kept" in capsys.readouterr().err


@pytest.mark.processes
def test_the_pipeline_keeps_the_page_of_an_evaluation_beside_its_record(
    here: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_EXECUTION, "exec-7")
    kept = here.root / ".prompt-hub" / "results" / "evaluations" / "exec-7"
    with serving(Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, entries(url))
        assert main(["evaluate", "part-class", "--record"]) == ExitCode.OK
        assert "every example: evaluations/exec-7/part-class.html" in capsys.readouterr().out
        assert "<!doctype html>" in (kept / "part-class.html").read_text(encoding="utf-8")
        # Nothing was measured of what is released already.
        assert main(["evaluate", "brand", "--record"]) == ExitCode.OK
    assert not (kept / "brand.html").exists()
