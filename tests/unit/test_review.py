"""`prompt-hub review`: citations are looked up, the log is kept, nothing is gated."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub.cli import review as command
from prompt_hub.cli.main import main
from prompt_hub.cli.review import review_of
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import ModelResponse
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject
from prompt_hub.review.critique import Review, in_words
from tests.unit.building import RepositoryFolder
from tests.unit.providers import ALIASES, FunctionProvider

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
REVIEWER = "prompts/00-templates/review.yaml"
LOG = "prompts/04-evals/part-class/reviews/1.2.0.json"
AT = datetime(2026, 11, 3, 12, tzinfo=UTC)


def described(line: int, quote: str, severity: str = "low", problem: str = "Vague.") -> JsonObject:
    return {
        "line": line,
        "quote": quote,
        "severity": severity,
        "problem": problem,
        "suggestion": "Say which.",
    }


REAL = described(27, "Answer with JSON such as", "high", "The example names a class.")
MOVED = described(3, "Title: {{ title }}", "medium")
INVENTED = described(26, "Always be polite")


@pytest.fixture
def reviewing(healthy: RepositoryFolder) -> RepositoryFolder:
    """The healthy repository with the project's own review prompt."""
    healthy.write(REVIEWER, (ROOT / REVIEWER).read_text(encoding="utf-8"))
    return healthy


def review(folder: RepositoryFolder, model: FunctionProvider) -> Review:
    repository = folder.repository
    reviewer = command._reviewer(repository)
    return asyncio.run(review_of(repository, "part-class", reviewer, model.caller(), AT))


def saying(*findings: JsonObject) -> FunctionProvider:
    return FunctionProvider(lambda _: {"findings": list(findings)})


def test_the_reviewer_sees_numbered_lines_the_purpose_and_examples(
    reviewing: RepositoryFolder,
) -> None:
    model = saying()
    review(reviewing, model)
    (messages,) = model.asked
    question = messages[-1]["content"]
    assert "\n 2 task: part-class\n" in question
    assert "Part classes of the electronics catalogue." in question
    assert '"expected": {"part_class": "capacitor"}' in question


def test_a_cited_line_is_looked_up_in_the_file(reviewing: RepositoryFolder) -> None:
    found = review(reviewing, saying(REAL, MOVED, INVENTED)).findings
    assert [(finding.citation, finding.line) for finding in found] == [
        ("verified", 27),
        ("moved", 31),
        ("invented", None),
    ]
    lines = reviewing.read("prompts/00-templates/part-class.yaml").splitlines()
    assert "Answer with JSON such as" in lines[26]
    assert "Title: {{ title }}" in lines[30]


def test_words_name_the_place_and_leave_the_invented_out(reviewing: RepositoryFolder) -> None:
    message = in_words(review(reviewing, saying(INVENTED, MOVED, REAL)))
    lines = message.splitlines()
    assert lines[0] == (
        "part-class 1.2.0: 2 findings by the review prompt 1.0.0 on openai:small-model-2026-01"
    )
    assert lines[1] == (
        "  prompts/00-templates/part-class.yaml:27 [high] The example names a class."
    )
    assert "  prompts/00-templates/part-class.yaml:31 [medium] Vague." in lines
    assert "Always be polite" not in message
    assert "  1 finding cited words that the file does not have: left out here" in lines


def test_words_of_a_model_are_no_command_to_the_terminal(reviewing: RepositoryFolder) -> None:
    told = "\x1b[2JAll is well.\n  advice: none"
    quoted = described(27, "Answer with\tJSON such as", problem=told)
    found: JsonObject = {**quoted, "suggestion": told}
    lines = in_words(review(reviewing, saying(found))).split("\n")
    shown = "[2JAll is well. advice: none"
    assert lines[1:4] == [
        f"  prompts/00-templates/part-class.yaml:27 [low] {shown}",
        "    “Answer with JSON such as”",
        f"    {shown}",
    ]


def test_a_review_is_of_the_candidate_that_was_asked_about(reviewing: RepositoryFolder) -> None:
    before = reviewing.repository.candidate("part-class")

    def answer(_: object) -> JsonObject:
        reviewing.write("prompts/00-templates/part-class.yaml", "its: [author goes on\n")
        return {"findings": [REAL]}

    found = review(reviewing, FunctionProvider(answer))
    assert (found.version, found.sha256) == (before.version, before.sha256)
    assert [finding.citation for finding in found.findings] == ["verified"]


@pytest.mark.parametrize("answer", ["looks fine", {"findings": [{"line": 1}]}, {"findings": 3}])
def test_an_answer_that_is_no_review_is_not_measured(
    reviewing: RepositoryFolder, answer: JsonObject | str
) -> None:
    with pytest.raises(ModelUnavailableError, match="the review cannot be used"):
        review(reviewing, FunctionProvider(lambda _: answer))


@pytest.fixture
def door(reviewing: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    """The command line at work on the repository."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(reviewing.root))
    monkeypatch.setenv(aws_names.ENV_MODELS, ALIASES.to_json())
    return reviewing


def test_a_review_is_logged_and_gates_nothing(
    door: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ModelClient", lambda _: saying(REAL, INVENTED).caller())
    assert main(["review", "part-class"]) == ExitCode.OK
    assert f"logged in {LOG}" in capsys.readouterr().out
    logged = Review.model_validate_json(door.read(LOG))
    assert logged.sha256 == door.repository.candidate("part-class").sha256
    assert [finding.citation for finding in logged.findings] == ["verified", "invented"]
    assert door.findings() == []
    assert main(["review", "part-class", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["task"] == "part-class"


def test_a_damaged_log_is_found(door: RepositoryFolder) -> None:
    door.write(LOG, "{")
    assert door.rules_broken() == ["json-syntax"]


@pytest.mark.parametrize("models", ["", "{}"])
def test_without_a_model_nothing_is_reviewed(
    door: RepositoryFolder,
    models: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_MODELS, models)
    assert main(["review", "part-class"]) == ExitCode.NOT_MEASURED
    assert "nothing was reviewed: " in capsys.readouterr().err
    assert not door.path(LOG).exists()


def test_a_model_that_is_silent_is_not_measured(
    door: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ModelClient", lambda _: FunctionProvider(lambda _: None).caller())
    assert main(["review", "part-class"]) == ExitCode.NOT_MEASURED
    assert not door.path(LOG).exists()


def test_an_unknown_task_and_a_missing_reviewer_are_told(
    door: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", "colour"]) == ExitCode.USAGE
    assert "there is no task 'colour' (known: brand, part-class)" in capsys.readouterr().err
    door.path(REVIEWER).unlink()
    assert main(["review", "part-class"]) == ExitCode.USAGE
    assert "the prompt that reviews others" in capsys.readouterr().err


def test_the_projects_own_review_prompt_is_whole() -> None:
    reviewer = command._reviewer(PromptRepository(ROOT))
    assert reviewer.task == "review"


def test_findings_that_say_the_same_are_told_once(reviewing: RepositoryFolder) -> None:
    same = described(27, "Answer with JSON such as", problem="Vague.")
    message = in_words(review(reviewing, saying(same, MOVED | {"severity": "low"}, REAL)))
    assert message.count("Vague.") == 1
    assert "    line 31: “Title: {{ title }}” (cited on another line)" in message.splitlines()


def test_a_model_that_takes_its_time_is_waited_for_aloud(
    door: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Slow(FunctionProvider):
        async def complete(self, *asked: object) -> ModelResponse:
            # Until people were told that it is still asked.
            while not any("still waiting" in line for line in told):
                await asyncio.sleep(0)
            return await super().complete(*asked)  # type: ignore[arg-type]

    told: list[str] = []
    monkeypatch.setattr(command, "say", told.append)
    monkeypatch.setattr(command, "SAY_EVERY", 0.001)
    slow = Slow(lambda _: {"findings": [REAL]})
    monkeypatch.setattr(command, "ModelClient", lambda _: slow.caller())
    assert main(["review", "part-class"]) == ExitCode.OK
    assert told[0].startswith("part-class: asking openai:small-model-2026-01")
    assert told[1].startswith("part-class: still waiting, 0 s of 300")
