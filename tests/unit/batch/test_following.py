"""Where a task's records follow what is active, each line says which version answered it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from prompt_hub.batch.backends import RecordAnswer, VersionInfo
from prompt_hub.batch.following import LOOK_EVERY_SECONDS, FollowingBackend
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.readers import Record
from prompt_hub.batch.runner import RecordMapper, Runner
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.schema import JsonObject, Prompt
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider

FIELDS = {"part_number": "BAT54", "title": "Schottky diode"}


class Stage:
    """A stage whose active version changes; a clock beside it."""

    def __init__(self, folder: RepositoryFolder) -> None:
        versions = [folder.repository.version("part-class", name) for name in ("1.0.0", "1.1.0")]
        self.old, self.new = (each for each in versions if each is not None)
        self.active: Prompt | PromptHubError = self.old
        self.now = 0.0
        self.looks = 0
        self.backend = FollowingBackend(
            self.old,
            FunctionProvider(catalogue_answer).caller(),
            self.look,
            timeout=60,
            clock=lambda: self.now,
        )

    def look(self) -> Prompt:
        self.looks += 1
        if isinstance(self.active, PromptHubError):
            raise self.active
        return self.active

    def answered_by(self) -> str:
        """The version that answers now."""
        answer = asyncio.run(self.backend.answer(dict(FIELDS)))
        assert answer.output is not None
        return answer.answered_by.version


@pytest.fixture
def stage(healthy: RepositoryFolder) -> Stage:
    return Stage(healthy)


def test_a_version_that_becomes_active_answers_what_comes_after(stage: Stage) -> None:
    assert stage.answered_by() == "1.0.0"
    stage.active = stage.new
    assert stage.answered_by() == "1.0.0"  # nobody has looked since
    stage.now += LOOK_EVERY_SECONDS
    assert [stage.answered_by(), stage.answered_by()] == ["1.1.0", "1.1.0"]
    assert stage.looks == 1


def test_while_nobody_knows_what_is_active_the_last_one_goes_on(stage: Stage) -> None:
    stage.active = PromptHubError("the ledger does not answer.")
    stage.now += LOOK_EVERY_SECONDS
    assert stage.answered_by() == "1.0.0"
    stage.active = stage.new
    stage.now += LOOK_EVERY_SECONDS
    assert stage.answered_by() == "1.1.0"


def test_a_version_with_other_fields_reads_the_records_anew(stage: Stage) -> None:
    stage.active = stage.new.model_copy(update={"input": {"type": "object"}, "version": "2.0.0"})
    stage.now += LOOK_EVERY_SECONDS
    with pytest.raises(PromptHubError, match=r"2\.0\.0 is active now and takes other") as error:
        stage.answered_by()
    assert error.value.exit_code is ExitCode.NOT_MEASURED


class Moving:
    """Refuses the first record, and answers others with a version that has become active since."""

    def __init__(self) -> None:
        self.answered_by = self._version("1.0.0")

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        if record == 1:
            raise ModelUnavailableError("HTTP 400", of_request=True)
        self.answered_by = self._version("1.1.0")
        return RecordAnswer(output={"b": 1}, error=None, answered_by=self.answered_by)

    @staticmethod
    def _version(version: str) -> VersionInfo:
        return VersionInfo(task="t", version=version, sha256="0" * 64, release=None, model="m")


def test_a_refused_request_is_put_down_to_the_version_of_then(tmp_path: Path) -> None:
    records = [Record(number, number, ("a",), ("x",)) for number in (1, 2)]
    with Journal(tmp_path / "out.jsonl", {}) as journal:
        runner = Runner(
            mapper=RecordMapper({}, {"properties": {"a": {"type": "string"}}}),
            backend=Moving(),
            journal=journal,
            concurrency=1,
            say=lambda line: None,
            progress=lambda stats: None,
        )
        asyncio.run(runner.run(iter(records)))
        journal.publish()
    lines = map(json.loads, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert [(line["version"], line["error"]) for line in lines] == [
        ("1.0.0", "line 1: HTTP 400"),
        ("1.1.0", None),
    ]
