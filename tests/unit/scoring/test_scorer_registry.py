"""A scorer type is one file: found, told to people, and refused where it is half one."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.scoring import scorers_page
from prompt_hub.scoring.comparison import Comparison
from prompt_hub.scoring.one_field import OneFieldSettings
from prompt_hub.scoring.registry import SCORER_TYPES, collect_types

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "scorers.md"

LENGTH = '''
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from prompt_hub.repository.schema import Example, FieldPath, JsonObject
from prompt_hub.scoring.base import (
    TYPE, Complaint, PureScorer, PureSettings, RuleContext, ScorerResult, scorer_type,
)
from prompt_hub.scoring.field_rules import field_complaints


@scorer_type(right="a text of at most so many characters", place=45)
class LengthSettings(PureSettings):
    """A text is short enough."""

    type: Annotated[Literal["length"], TYPE]
    field: FieldPath
    """Field of the output."""
    most: int
    """Characters that it may have."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        return LengthScorer(f"length:{self.field}", self.weight, self.field, self.most)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        yield from field_complaints(context.prompt, self.field, ("field",), "string")


@dataclass(frozen=True)
class LengthScorer(PureScorer):
    field: str
    most: int

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        text = str((output or {}).get(self.field))
        return ScorerResult(self.name, float(len(text) <= self.most), self.weight)
'''
"""A new type, as its file would be."""

TRIAL = """
import json
from prompt_hub.repository.schema import Example
from prompt_hub.scoring import build_scorers, majority_baseline, score_answer
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.scoring.scorers_page import table
from prompt_hub.validation.schemas import schemas

metadata = ScoringMetadata.model_validate({
    "schema": "prompt-hub/metadata@1", "task": "t", "owner": "o", "description": "d",
    "version": "1.0.0", "candidate": "c", "threshold": 0.5,
    "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
    "scorers": [{"type": "length", "field": "title", "most": 3}],
})
example = Example(id="a", input={}, expected={"title": "abc"})
scorers = build_scorers(metadata.scorers, {})
assert [part.score for part in score_answer(scorers, {"title": "abc"}, example)] == [1.0]
assert [part.score for part in score_answer(scorers, {"title": "abcd"}, example)] == [0.0]
assert majority_baseline(metadata.scorers, [example], {}) == 1.0
editor = json.loads(schemas()["metadata.schema.json"])
assert editor["$defs"]["LengthSettings"]["properties"]["most"]["description"]
assert "| [`length`](#length) | a text of at most so many characters | none |" in table()
"""
"""What must know of it without another file being touched."""


@pytest.mark.shipped
def test_the_table_of_the_page_is_that_of_the_registry() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = replace_generated_part(page, scorers_page.SOURCE, scorers_page.table())
    assert page == written, "run `make docs`"


@pytest.mark.shipped
@pytest.mark.parametrize("name", SCORER_TYPES)
def test_every_type_has_a_section_with_an_example(name: str) -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {name}\n")
    assert f"type: {name}" in rest.partition("\n## ")[0]


def test_a_new_type_takes_one_file(tmp_path: Path) -> None:
    source = tmp_path / "prompt_hub"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline_image" / "prompt_hub", source, ignore=ignored)
    (source / "scoring" / "scorers" / "length.py").write_text(LENGTH, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", TRIAL],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- Half a scorer -----------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package of scorers that can be imported."""
    folder = tmp_path / "scorers_under_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "code", "problem"),
    [
        ("length", "", "length: expected one scorer type, found 0"),
        (
            "length",
            LENGTH + LENGTH.replace("LengthS", "OtherS"),
            "length: expected one scorer type, found 2",
        ),
        ("width", LENGTH, "width: expected a scorer type of that name, found 'length'"),
        (
            "length",
            LENGTH.replace("(PureSettings)", "(ScorerSettings)").replace(
                "PureSettings,", "PureSettings, ScorerSettings,"
            ),
            "LengthSettings is none of PureSettings, JudgeSettings, InjectionSettings",
        ),
        ("length", LENGTH.replace("def build", "def make"), "LengthSettings lacks build"),
        ("length", LENGTH.replace("def complaints", "def rules"), "lacks complaints"),
    ],
    ids=["none", "two", "name", "kind", "no scorer", "no rules"],
)
def test_half_a_scorer_is_refused_when_it_is_imported(
    package: Path, file: str, code: str, problem: str
) -> None:
    (package / f"{file}.py").write_text(code, encoding="utf-8")
    with pytest.raises(TypeError) as raised:
        collect_types(importlib.import_module(package.name))
    assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["quantity", "part_number", "text"])
def test_a_scorer_of_one_field_compares_as_its_type_says_and_names_the_field_first(
    name: str,
) -> None:
    settings = SCORER_TYPES[name].settings
    assert issubclass(settings, OneFieldSettings)
    found = settings.model_validate({"type": name, "field": "size.value"})
    assert found.how == Comparison(compare=found.way)
    assert found.way == found.type == name
    assert [field.path for field in found.compared(())] == ["size.value"]
    assert list(settings.model_json_schema()["properties"])[:3] == ["type", "weight", "field"]
