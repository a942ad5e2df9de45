"""Every rule: what breaks it, what it says, where it points; and nothing else complains."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import walk_packages

import pytest
from _pytest.mark import ParameterSet

from prompt_hub import validation
from prompt_hub.repository import examples as example_files
from prompt_hub.validation import text_scan, tree_reader
from prompt_hub.validation.check import TASK_RULES, TREE_RULES
from prompt_hub.validation.rules.base import Rule
from prompt_hub.validation.rules.reading import READING_RULES
from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import (
    CANDIDATE,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    Case,
    Fine,
    append,
)
from tests.unit.validation.breaks import (
    contracts,
    examples,
    metadata,
    prompts,
    reading,
    released,
    tree,
)

SCORER_RULES = {"scorers", "judge", "lost-difference", "unread-quantity"}
"""Their breaks are in test_scorer_rules.py."""

MODULES = (reading, tree, metadata, prompts, contracts, examples, released)
CASES = [case for module in MODULES for case in module.CASES]
FINE = [fine for module in MODULES for fine in module.FINE]


def parameters(cases: Sequence[Case | Fine]) -> list[ParameterSet]:
    """Whether a repository keeps its evidence is asked of git, a process."""
    return [
        pytest.param(case, marks=pytest.mark.processes if case.rule == "evidence-kept" else ())
        for case in cases
    ]


@pytest.fixture(autouse=True)
def nobody_in_place_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.mark.parametrize("case", parameters(CASES), ids=str)
def test_a_break_is_found_where_it_is_and_nowhere_else(
    healthy: RepositoryFolder, case: Case
) -> None:
    case.damage(healthy)
    findings = healthy.findings()
    mine = [finding for finding in findings if finding.rule == case.rule]
    message = "\n".join(f"{finding.problem} [{finding.rule}]" for finding in findings)
    assert [str(entry.problem) for entry in mine if case.says in str(entry.problem)], message
    assert {finding.problem.file for finding in mine} == {case.file}
    assert {finding.rule for finding in findings} <= {case.rule, *case.also}, message
    if case.at is not None:
        assert case.at in {(item.problem.line, item.problem.column) for item in mine}


@pytest.mark.parametrize("case", [case for case in CASES if "/01-examples/" in case.file], ids=str)
def test_a_large_file_of_examples_has_the_findings_of_a_small_one(
    healthy: RepositoryFolder, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.damage(healthy)
    small = healthy.findings()
    monkeypatch.setattr(tree_reader, "LARGE", 0)
    monkeypatch.setattr(example_files, "FEW", 0)
    for module in (example_files, text_scan):
        monkeypatch.setattr(module, "PIECE", 1)
    assert healthy.findings() == small


ALL_RULES = {rule.id: rule for rule in (*TASK_RULES, *TREE_RULES)}


def test_a_task_that_shall_go_is_archived_before_its_files_are_removed() -> None:
    mend = ALL_RULES["live"].mend
    assert mend.index("prompt-hub promote archive") < mend.index("remove what is left of it")


def test_every_rule_has_a_break_a_line_of_documentation_and_a_way_to_mend_it() -> None:
    assert len(ALL_RULES) == len(TASK_RULES) + len(TREE_RULES)
    written = {
        var.id
        for module in walk_packages(validation.__path__, "prompt_hub.validation.")
        for var in vars(import_module(module.name)).values()
        if isinstance(var, Rule)
    }
    assert written == ALL_RULES.keys(), "a rule stands in no tuple of its module"
    assert not ALL_RULES.keys() & READING_RULES.keys()
    texts = {
        **READING_RULES,
        **{item.id: (item.documentation, item.mend) for item in ALL_RULES.values()},
    }
    assert {case.rule for case in CASES} | SCORER_RULES == texts.keys()
    assert {fine.rule for fine in FINE} | SCORER_RULES == texts.keys()
    for rule, (documentation, mend) in texts.items():
        assert documentation.endswith("."), rule
        assert mend.endswith("."), rule
        assert "  " not in documentation + mend, rule


@pytest.mark.parametrize("fine", parameters(FINE), ids=str)
def test_what_comes_close_to_a_rule_is_not_found(healthy: RepositoryFolder, fine: Fine) -> None:
    fine.change(healthy)
    assert [str(finding.problem) for finding in healthy.findings()] == []


def test_the_healthy_repository_is_valid(healthy: RepositoryFolder) -> None:
    assert healthy.findings() == []


def test_a_candidate_beside_its_examples_is_valid(healthy: RepositoryFolder) -> None:
    text = healthy.read(CANDIDATE)
    healthy.path(CANDIDATE).unlink()
    healthy.write("prompts/01-examples/part-class.yaml", text)
    healthy.edit(METADATA, "00-templates/part-class.yaml", "01-examples/part-class.yaml")
    assert healthy.findings() == []


def test_a_draft_only_has_to_parse(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/idea.yaml", "just: an idea\n")
    assert healthy.findings() == []


def test_all_problems_of_all_files_are_found_at_once(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 7")
    healthy.edit("prompts/00-templates/brand.yaml", "role: user", "role: robot")
    healthy.edit(PRODUCTION, "{{ title }}", "{{title}}")
    append(EXAMPLES, "nonsense\n{}\n")(healthy)
    found = {(finding.problem.file, finding.problem.line) for finding in healthy.findings()}
    assert (METADATA, 8) in found
    assert ("prompts/00-templates/brand.yaml", 17) in found
    assert PRODUCTION in {file for file, _ in found}
    assert {(EXAMPLES, 9), (EXAMPLES, 10)} <= found


def test_a_key_is_found_but_never_repeated(healthy: RepositoryFolder) -> None:
    secret = "sk-" + "proj-abcdefghijklmnopqrstuvwxyz"
    healthy.edit(METADATA, "owner: catalogue-team", f"owner: [{secret}]")
    findings = healthy.findings()
    assert {finding.rule for finding in findings} == {"secret", "value"}
    assert secret not in "\n".join(str(finding.problem) for finding in findings)


def test_one_task_is_looked_at_alone(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 7")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["value"]


def test_one_broken_candidate_is_its_own_tasks_alone(healthy: RepositoryFolder) -> None:
    healthy.write(CANDIDATE, "schema: [\n")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["yaml-syntax"]


def test_an_empty_repository_has_no_problems(healthy: RepositoryFolder) -> None:
    empty = RepositoryFolder(healthy.root / "empty")
    empty.path("prompts").mkdir(parents=True)
    assert empty.findings() == []


def test_a_bomb_of_nested_values_is_refused(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/bomb.yaml", "[" * 100_000)
    healthy.write("prompts/00-templates/aliases.yaml", "a: &a [x]\nb: [*a, *a]\n")
    append(EXAMPLES, "[" * 100_000 + "\n")(healthy)
    lines = [finding.problem.found for finding in healthy.findings()]
    assert "values nested more than 50 deep" in lines
    assert "a YAML alias" in lines
