"""A bench for imports from promptfoo: what is asked of the model, and what counts as right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.rendering import render
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.metadata import read_metadata
from prompt_hub.scoring.registry import build_scorers
from tests.unit.authoring.workshop import Workshop

PROVIDER = "openai:gpt-4o-mini"
ASK = {"prompts": ["Colour of {{thing}}?"], "providers": [PROVIDER]}
BLUE = [{"type": "equals", "value": "blue"}]


def case(values: object, *asserted: object, **more: object) -> dict[str, object]:
    """Return a test, of which 'blue' is right unless `asserted` says otherwise."""
    return {"vars": values, "assert": [*asserted] or BLUE, **more}


@dataclass
class Bench:
    """Imports configurations, and shows what came of them."""

    workshop: Workshop
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def write(self, name: str, content: object) -> str:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    def take(self, config: object, *more: str) -> str:
        """Import a configuration that can be, and return what was output."""
        path = self.write("promptfooconfig.yaml", config)
        words = (path, "--model", "catalogue-pinned", *more)
        ended = self.workshop.take("task", *words)
        captured = self.capsys.readouterr()
        assert (ended, captured.err) == (ExitCode.OK, "")
        assert self.workshop.folder.errors() == []
        return captured.out

    def refuse(self, config: object) -> str:
        """Import a configuration that cannot be, and return why."""
        path = self.write("promptfooconfig.yaml", config)
        before = self.workshop.snapshot()
        assert self.workshop.take("task", path) == ExitCode.BLOCKED
        assert self.workshop.snapshot() == before
        error = self.capsys.readouterr().err
        assert "Traceback" not in error
        return error

    @property
    def prompt(self) -> Prompt:
        """The imported prompt."""
        return self.workshop.folder.repository.draft("task")

    @property
    def examples(self) -> list[Example]:
        """The imported examples."""
        return list(self.workshop.folder.repository.examples("task"))

    def asked(self) -> list[str]:
        """What the user's last message says for each example."""
        return [render(self.prompt, item.input)[-1]["content"] for item in self.examples]

    def answers(self) -> list[JsonObject]:
        """The right answers."""
        return [example.expected for example in self.examples]

    def score(self, index: int, output: JsonObject) -> float:
        """What an answer is worth for one example."""
        repository = self.workshop.folder.repository
        scorers = build_scorers(read_metadata(repository, "task").scorers, self.prompt.output)
        parts = [scorer.part(output, self.examples[index]) for scorer in scorers]
        return sum(part.score * part.weight for part in parts) / sum(part.weight for part in parts)
