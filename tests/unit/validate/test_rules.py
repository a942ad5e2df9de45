"""Every rule: what breaks it, what it says, where it points; and nothing else complains."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from prompt_hub.validate.rules import TASK_RULES, TREE_RULES
from tests.unit.building import RepositoryFolder

SCORER_RULES = {"scorers", "judge"}
"""Their breaks are in test_scorer_rules.py."""
READING_RULES = {"link", "parse", "model", "lock", "example", "building-block", "few-shot"}

CANDIDATE = "prompts/00-templates/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"
PRODUCTION = "prompts/02-production/part-class.yaml"
METADATA = "prompts/03-metadata/part-class.yaml"
ARCHIVED = "prompts/99-archive/part-class/1.0.0.yaml"
REGISTRY = "prompt_registry.yaml"


@dataclass(frozen=True)
class Case:
    """A break, and where and what the rule must say of it; `also` are rules that follow from it."""

    rule: str
    damage: Callable[[RepositoryFolder], None]
    file: str
    says: str
    at: tuple[int, int] | None = None
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.rule


def edit(file: str, old: str, new: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.edit(file, old, new)


def append(file: str, text: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.write(file, folder.read(file) + text)


def delete(*files: str) -> Callable[[RepositoryFolder], None]:
    def damage(folder: RepositoryFolder) -> None:
        for file in files:
            folder.path(file).unlink()

    return damage


def restamped(damage: Callable[[RepositoryFolder], None]) -> Callable[[RepositoryFolder], None]:
    def both(folder: RepositoryFolder) -> None:
        damage(folder)
        folder.stamp("part-class")

    return both


def example(**changes: object) -> Callable[[RepositoryFolder], None]:
    """One more example, good but for `changes`; metadata is stamped for it."""
    good: dict[str, object] = {
        "id": "one-more",
        "input": {"part_number": "1N4007", "title": "Rectifier diode 1 A 1000 V"},
        "expected": {"part_class": "diode"},
    }
    return restamped(append(EXAMPLES, json.dumps({**good, **changes}) + "\n"))


def link(folder: RepositoryFolder) -> None:
    outside = folder.root.parent / "outside.yaml"
    outside.write_text("secret: true\n")
    folder.path("prompts/00-templates/leak.yaml").symlink_to(outside)


def released_as(version: str) -> Callable[[RepositoryFolder], None]:
    """The candidate goes back to `version`, whose content is another."""
    return lambda folder: folder.bump("part-class", "1.2.0", version)


CASES = [
    Case("link", link, "prompts/00-templates/leak.yaml", "a symbolic link out of the tree"),
    Case(
        "link",
        lambda folder: folder.path("prompts/00-templates/gone.yaml").symlink_to("nowhere"),
        "prompts/00-templates/gone.yaml",
        "a symbolic link to nothing",
    ),
    Case(
        "parse",
        lambda folder: folder.write("prompts/00-templates/draft.yaml", "a: [1,\n  b: 2\n"),
        "prompts/00-templates/draft.yaml",
        "expected valid YAML",
    ),
    Case(
        "parse",
        edit(CANDIDATE, "  - role: system", "  - role: system\n    role: user"),
        CANDIDATE,
        "messages.0.role: found the key twice",
        at=(25, 5),
    ),
    Case(
        "parse",
        lambda folder: folder.write("prompts/04-evals/brand/0.9.0.json", '{"score": NaN}'),
        "prompts/04-evals/brand/0.9.0.json",
        "not a finite number",
    ),
    Case(
        "model",
        edit(CANDIDATE, "description: Which", "descripton: Which"),
        CANDIDATE,
        "the key 'descripton'",
        at=(4, 13),
    ),
    Case(
        "model", edit(METADATA, "threshold: 0.7", "threshold: 70"), METADATA, "threshold: found 70"
    ),
    Case(
        "model",
        edit(REGISTRY, "  brand:\n    owner: catalogue-team", "  brand:\n    owner: 7"),
        REGISTRY,
        "tasks.brand.owner: found 7",
    ),
    Case("lock", edit(PRODUCTION, "{{ title }}", "{{title}}"), PRODUCTION, "undo the hand edit"),
    Case(
        "example",
        append(EXAMPLES, '{"id": "a", "input": {}, "expected": {}, "split": "train"}\n'),
        EXAMPLES,
        "split: found 'train'",
        at=(9, 1),
    ),
    Case(
        "building-block",
        delete("prompts/00-templates/catalogue-role.txt"),
        CANDIDATE,
        "messages.0.content: found",
    ),
    Case(
        "few-shot",
        edit(CANDIDATE, "{count: 2}", "{count: 3}"),
        CANDIDATE,
        "found 3; expected at most 2",
    ),
    Case(
        "secret",
        append("prompts/00-templates/catalogue-role.txt", f"AK{'IA'}ABCDEFGHIJKLMNOP\n"),
        "prompts/00-templates/catalogue-role.txt",
        "an AWS access key id",
        at=(2, 1),
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/03-metadata/colour.yml", "task: colour\n"),
        "prompts/03-metadata/colour.yml",
        "found the ending '.yml'; expected .yaml",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/99-archive/0.1.0.yaml", "a: 1\n"),
        "prompts/99-archive/0.1.0.yaml",
        "prompts/99-archive/TASK/VERSION.yaml",
    ),
    Case(
        "live",
        delete("prompts/01-examples/brand.jsonl"),
        "prompts/01-examples/brand.jsonl",
        "no examples, though 02-production, 03-metadata has 'brand'",
    ),
    Case(
        "live",
        delete("prompts/03-metadata/brand.yaml"),
        "prompts/03-metadata/brand.yaml",
        "no metadata",
    ),
    Case(
        "metadata-task", edit(METADATA, "task: part-class", "task: part"), METADATA, "found 'part'"
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: ../app.py"),
        METADATA,
        "outside prompts/",
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: 00-templates/x.yaml"),
        METADATA,
        "which does not exist",
        at=(7, 12),
    ),
    Case(
        "candidate-task",
        edit(CANDIDATE, "task: part-class", "task: part"),
        CANDIDATE,
        "found 'part'; expected 'part-class'",
        at=(2, 7),
    ),
    Case(
        "candidate-lock",
        append(
            CANDIDATE,
            f"lock: {{sha256: {'a' * 64}, promoted_at: '2026-01-01T00:00:00Z',"
            " evaluation: e, commit: c}\n",
        ),
        CANDIDATE,
        "promotion writes it",
    ),
    Case(
        "candidate-version",
        edit(METADATA, "version: 1.2.0", "version: 1.3.0"),
        METADATA,
        "version: found 1.3.0; expected 1.2.0",
        at=(6, 10),
    ),
    Case(
        "up-to-date",
        edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLength: 200}"),
        METADATA,
        "validate_prompt.py --stamp part-class",
    ),
    Case(
        "score-watch",
        edit(METADATA, "datapoints_to_alarm: 1", "datapoints_to_alarm: 2"),
        METADATA,
        "at most evaluation_periods, 1",
    ),
    Case(
        "records",
        edit(METADATA, "    title: [Description]", "    name: [Description]"),
        METADATA,
        "found 'name'; expected a property of the input",
    ),
    Case(
        "records",
        edit(METADATA, "title: [Description]", "title: [Description, part no]"),
        METADATA,
        "'part no', which 'part_number' claims too",
    ),
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: text}")),
        CANDIDATE,
        "input.properties.title.type: found",
        at=(14, 19),
    ),
    Case(
        "schema",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {$ref: 'http://example.org/s'}")
        ),
        CANDIDATE,
        "a reference inside this schema",
    ),
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, pattern: '('}")),
        CANDIDATE,
        "expected a regular expression",
    ),
    Case(
        "question",
        append(CANDIDATE, "  - {role: assistant, content: Done.}\n"),
        CANDIDATE,
        "found 'assistant'; expected 'user'",
    ),
    Case(
        "template",
        edit(CANDIDATE, "{{ title }}", "{{ title }"),
        CANDIDATE,
        "messages.1.content: found the template does not parse",
        also=frozenset({"unused-property", "render"}),
    ),
    Case(
        "undeclared-variable",
        edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}"),
        CANDIDATE,
        "found the variable 'titel'",
        at=(29, 14),
    ),
    Case(
        "unused-property",
        restamped(
            edit(
                CANDIDATE,
                "    title: {type: string}",
                "    title: {type: string}\n    colour: {type: string}",
            )
        ),
        CANDIDATE,
        "input.properties.colour: found a property that no message uses",
    ),
    Case(
        "render",
        edit(
            CANDIDATE,
            "{% if manufacturer is defined %}Manufacturer: {{ manufacturer }}{% endif %}",
            "{{ manufacturer }}",
        ),
        EXAMPLES,
        "without the optional manufacturer (and in 7 more examples)",
    ),
    Case(
        "render", edit(CANDIDATE, "{{ title }}", "{{ title / 0 }}"), EXAMPLES, "cannot be rendered"
    ),
    Case(
        "example-id",
        example(id="2N7002"),
        EXAMPLES,
        "'2N7002', which line 4 has already",
        at=(9, 1),
    ),
    Case(
        "example-input",
        example(input={"part_number": 4007, "title": "Rectifier diode"}),
        EXAMPLES,
        "input.part_number: found 4007 is not of type 'string'",
        at=(9, 1),
    ),
    Case(
        "example-expected",
        example(expected={"part_class": "rectifier"}),
        EXAMPLES,
        "expected.part_class: found 'rectifier' is not one of",
    ),
    Case(
        "example-eval",
        restamped(
            lambda folder: folder.write(
                EXAMPLES, folder.read(EXAMPLES).replace('"split": "eval"', '"split": "shot"')
            )
        ),
        EXAMPLES,
        "at least one example with split: eval",
    ),
    Case(
        "released-task",
        lambda folder: folder.write("prompts/99-archive/brand/1.0.0.yaml", folder.read(ARCHIVED)),
        "prompts/99-archive/brand/1.0.0.yaml",
        "found 'part-class'; expected 'brand'",
        also=frozenset({"registry-archive", "registry-lock", "version-moves"}),
    ),
    Case(
        "archive-name",
        lambda folder: folder.write(
            "prompts/99-archive/part-class/0.9.0.yaml", folder.read(ARCHIVED)
        ),
        "prompts/99-archive/part-class/0.9.0.yaml",
        "found 1.0.0; expected 0.9.0",
    ),
    Case(
        "version-moves",
        released_as("1.1.0"),
        CANDIDATE,
        "1.1.0, which is released with other content; expected a higher version",
        at=(3, 10),
    ),
    Case(
        "version-order",
        released_as("0.5.0"),
        CANDIDATE,
        "found 0.5.0; expected 1.1.0, which is released, or a higher version",
    ),
    Case(
        "registry-released",
        delete(PRODUCTION),
        REGISTRY,
        "tasks.part-class.released: found 1.1.0, but prompts/02-production has no part-class.yaml",
    ),
    Case(
        "registry-released",
        delete(REGISTRY),
        REGISTRY,
        "tasks.brand.released: found nothing; expected 1.0.0",
        also=frozenset({"registry-archive"}),
    ),
    Case(
        "registry-task",
        lambda folder: folder.write(
            REGISTRY, folder.read(REGISTRY).replace("threshold: 0.7\n", "threshold: 0.6\n", 1)
        ),
        REGISTRY,
        "tasks.brand.threshold: found 0.6; expected 0.7, as of version 1.0.0",
    ),
    Case(
        "registry-lock",
        edit(ARCHIVED, "evaluation: 04-evals/part-class/1.0.0.json", "evaluation: 04-evals/x.json"),
        ARCHIVED,
        "lock.evaluation: found '04-evals/x.json'; expected '04-evals/part-class/1.0.0.json'",
    ),
    Case(
        "evaluation-name",
        edit("prompts/04-evals/brand/1.0.0.json", '"task": "brand"', '"task": "colour"'),
        "prompts/04-evals/brand/1.0.0.json",
        "task: found 'colour'; expected 'brand', as the file is called",
    ),
    Case(
        "registry-state",
        edit(REGISTRY, "state: superseded", "state: released"),
        REGISTRY,
        "tasks.part-class.versions.1.0.0.state: found released",
    ),
    Case(
        "registry-files",
        delete(ARCHIVED),
        REGISTRY,
        "superseded, but no file of version 1.0.0",
    ),
    Case(
        "registry-files",
        delete("prompts/04-evals/part-class/1.0.0.json"),
        REGISTRY,
        "'04-evals/part-class/1.0.0.json', which prompts/ does not have",
    ),
    Case(
        "registry-archive",
        edit(
            REGISTRY,
            "      1.0.0:\n        state: superseded",
            "      0.9.0:\n        state: blocked",
        ),
        ARCHIVED,
        "1.0.0, which the registry does not know",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_break_is_found_where_it_is_and_nowhere_else(
    healthy: RepositoryFolder, case: Case
) -> None:
    case.damage(healthy)
    findings = healthy.findings()
    mine = [finding for finding in findings if finding.rule == case.rule]
    said = "\n".join(f"{finding.problem} [{finding.rule}]" for finding in findings)
    assert [str(it.problem) for it in mine if case.says in str(it.problem)], said
    assert {finding.problem.file for finding in mine} == {case.file}
    assert {finding.rule for finding in findings} <= {case.rule, *case.also}, said
    if case.at is not None:
        assert case.at in {(it.problem.line, it.problem.column) for it in mine}


def test_every_rule_has_a_break_and_a_line_of_documentation() -> None:
    rules = [*((rule.id, rule.documentation) for rule in TASK_RULES)]
    rules += ((rule.id, rule.documentation) for rule in TREE_RULES)
    assert {case.rule for case in CASES} == (
        {identifier for identifier, _ in rules} | READING_RULES
    ) - SCORER_RULES
    assert all(documentation.endswith(".") for _, documentation in rules)
    assert len({identifier for identifier, _ in rules}) == len(rules)


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
    found = {(it.problem.file, it.problem.line) for it in healthy.findings()}
    assert (METADATA, 8) in found
    assert ("prompts/00-templates/brand.yaml", 17) in found
    assert PRODUCTION in {file for file, _ in found}
    assert {(EXAMPLES, 9), (EXAMPLES, 10)} <= found


def test_a_key_is_found_but_never_repeated(healthy: RepositoryFolder) -> None:
    secret = "sk-" + "proj-abcdefghijklmnopqrstuvwxyz"
    healthy.edit(METADATA, "owner: catalogue-team", f"owner: [{secret}]")
    findings = healthy.findings()
    assert {finding.rule for finding in findings} == {"secret", "model"}
    assert secret not in "\n".join(str(finding.problem) for finding in findings)


def test_one_task_is_looked_at_alone(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 7")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["model"]


def test_one_broken_candidate_is_its_own_tasks_alone(healthy: RepositoryFolder) -> None:
    healthy.write(CANDIDATE, "schema: [\n")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["parse"]


def test_an_empty_repository_has_no_problems(healthy: RepositoryFolder) -> None:
    empty = RepositoryFolder(healthy.root / "empty")
    empty.path("prompts").mkdir(parents=True)
    assert empty.findings() == []


def test_a_bomb_of_nested_values_is_refused(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/bomb.yaml", "[" * 100_000)
    healthy.write("prompts/00-templates/aliases.yaml", "a: &a [x]\nb: [*a, *a]\n")
    append(EXAMPLES, "[" * 100_000 + "\n")(healthy)
    said = [finding.problem.found for finding in healthy.findings()]
    assert "values nested without end" in said
    assert "a YAML alias" in said
