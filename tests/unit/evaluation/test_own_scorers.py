"""Scorers of one's own: what they are given, where they may lie, and what goes wrong in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation import inputs
from prompt_hub.evaluation.replay import ReplayError, replay, rewrite
from prompt_hub.evaluation.store import read_evaluation
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import Example
from prompt_hub.scoring.base import NotScoredError, ScorerResult
from prompt_hub.scoring.function import fingerprints
from prompt_hub.scoring.scorers.python import PythonSettings
from tests.unit.building import RepositoryFolder
from tests.unit.judging import USER, evaluate, provider, sensible

EXAMPLE = Example(id="r1", input={"title": "10 kΩ"}, expected={"ohms": 10_000})
FUNCTIONS = """\
    def told(output, expected, input):
        return (0.5, f"{output} {expected} {input}")

    def right(output, expected, input):
        return True or 1

    def number(output, expected, input):
        return 1

    def halves(output, expected, input):
        return sum([0.05] * 20)

    def nearly_none(output, expected, input):
        return 0.3 - 0.1 - 0.1 - 0.1

    def much(output, expected, input):
        return 1.5

    def nothing(output, expected, input):
        pass

    def broken(output, expected, input):
        raise KeyError("ohms")

    def few(output):
        return 1.0

    constant = 3
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A repository's folder with a package of scorers; what was imported is forgotten again."""
    package = tmp_path / "repository" / "own_scorers_under_test"
    package.mkdir(parents=True)
    (package / "parts.py").write_text(dedent(FUNCTIONS))
    before, path = set(sys.modules), list(sys.path)
    yield package.parent
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def scored(root: Path, function: str) -> ScorerResult:
    entry = f"own_scorers_under_test.parts:{function}"
    scorer = PythonSettings(type="python", entry=entry).build({}, root)
    return scorer.part({"ohms": 47}, EXAMPLE)


def test_a_function_is_given_output_expected_and_input(root: Path) -> None:
    result = scored(root, "told")
    assert result.scorer == "python:own_scorers_under_test.parts:told"
    assert result.score == 0.5
    assert result.loss == "{'ohms': 47} {'ohms': 10000} {'title': '10 kΩ'}"
    assert scored(root, "number").score == 1.0


def test_what_a_sum_of_floats_misses_is_its_rounding(root: Path) -> None:
    assert sum([0.05] * 20) > 1
    assert scored(root, "halves").score == 1.0
    assert scored(root, "nearly_none").score == 0.0


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("broken", "raised KeyError: 'ohms'"),
        ("few", "raised TypeError"),
        ("much", "returned 1.5"),
        ("nothing", "returned None"),
        ("right", "returned True"),
    ],
)
def test_what_goes_wrong_in_it_is_no_score_and_names_the_function(
    root: Path, function: str, what: str
) -> None:
    with pytest.raises(NotScoredError) as caught:
        scored(root, function)
    assert caught.value.exit_code == ExitCode.NOT_MEASURED
    assert caught.value.message.startswith(
        f"the scorer own_scorers_under_test.parts:{function} {what}"
    )
    assert "on example 'r1'" in caught.value.message


@pytest.mark.parametrize("function", ["absent", "constant"])
def test_only_a_function_will_do(root: Path, function: str) -> None:
    with pytest.raises(PromptHubError, match=rf"parts.py has no function '{function}'"):
        scored(root, function)


@pytest.mark.parametrize("entry", ["os:getcwd", "tests.unit.providers:ALIASES", "nowhere.at:all"])
def test_it_lies_in_the_repository_or_in_an_installed_package(root: Path, entry: str) -> None:
    with pytest.raises(PromptHubError, match="neither in the repository's folder nor"):
        PythonSettings(type="python", entry=entry).build({}, root)


def test_a_module_that_cannot_be_imported_is_named(root: Path) -> None:
    (root / "own_scorers_under_test" / "bad.py").write_text("import a_package_nobody_has\n")
    entry = "own_scorers_under_test.bad:score"
    with pytest.raises(PromptHubError, match=r"bad of the scorer .* cannot be imported"):
        PythonSettings(type="python", entry=entry).build({}, root)


def test_a_file_that_takes_a_packages_name_is_not_taken_for_it(root: Path) -> None:
    (root / "json.py").write_text("def score(*a):\n    return 1\n")
    with pytest.raises(PromptHubError, match="hidden by another module"):
        PythonSettings(type="python", entry="json:score").build({}, root)


def test_its_fingerprint_moves_with_any_file_of_its_package(root: Path) -> None:
    entry = "own_scorers_under_test.parts:told"
    before = fingerprints([entry], root)
    assert fingerprints([entry], root) == before
    package = root / "own_scorers_under_test"
    (package / "units.py").write_text("OHM = 1\n")
    with_code = fingerprints([entry], root)
    assert with_code != before
    (package / "sizes.json").write_text('{"0603": "1608"}\n')
    with_data = fingerprints([entry], root)
    assert with_data != with_code
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "units.cpython-311.pyc").write_bytes(b"compiled")
    (package / ".sizes.json.swp").write_bytes(b"being edited")
    assert fingerprints([entry], root) == with_data


def test_a_record_of_before_data_counted_is_made_again(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    healthy.write("own_with_data/parts.py", "def score(output, expected, input):\n    return 1\n")
    healthy.write("own_with_data/sizes.json", '{"0603": "1608"}\n')
    healthy.edit(
        USER,
        "{type: json_fields, fields: {part_class: 1.0}}",
        "{type: python, entry: 'own_with_data.parts:score'}",
    )
    with monkeypatch.context() as before:
        before.setattr(inputs, "fingerprints", partial(fingerprints, code_alone=True))
        record = evaluate(healthy, provider(sensible))
    path = healthy.root / ".prompt-hub" / "results" / aws_names.evaluation_key("e1", record.task)
    stored = read_evaluation(path)
    assert replay(healthy.repository, stored).record == record
    assert rewrite(healthy.repository, stored).record.digest != record.digest
    healthy.write("own_with_data/units.py", "OHM = 1\n")
    with pytest.raises(ReplayError, match="digest"):
        replay(healthy.repository, stored)


def test_an_evaluation_with_a_broken_function_is_not_measured(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    file = "own_evaluated/parts.py"
    healthy.write(
        file, "def score(output, expected, input):\n    return float(output == expected)\n"
    )
    healthy.edit(
        USER,
        "{type: json_fields, fields: {part_class: 1.0}}",
        "{type: python, entry: 'own_evaluated.parts:score'}",
    )
    good = evaluate(healthy, provider(sensible))
    assert good.verdict.status is Status.PASS
    assert good.baseline is None
    assert good.candidate is not None
    sys.modules.pop("own_evaluated.parts")
    healthy.write(file, "def score(output, expected, input):\n    return output['brand']\n")
    bad = evaluate(healthy, provider(sensible))
    assert bad.digest != good.digest
    assert bad.verdict.status is Status.NOT_MEASURED
    reasons = [reason for reason in bad.verdict.reasons if "of the candidate" in reason]
    assert reasons == [
        "the scorer own_evaluated.parts:score raised KeyError: 'brand' (first on example"
        " 'GRM188R71C104KA01D'): 6 of 6 scores of the candidate are missing"
    ]
    # The model did answer.
    assert bad.candidate is not None
    assert bad.candidate.answered_by == good.candidate.answered_by != ()
    path = healthy.root / ".prompt-hub" / "results" / aws_names.evaluation_key("e1", bad.task)
    assert replay(healthy.repository, read_evaluation(path)).record == bad
