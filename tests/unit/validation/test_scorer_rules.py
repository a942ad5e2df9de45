"""What validation says of scorers and judges: every option against its type and the prompt."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from prompt_hub.repository.schema import JsonObject
from prompt_hub.validation.rules import scorers
from prompt_hub.validation.tree import Finding
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.judging import PROMPT, TASK, TEMPLATE, USER, add_judge, use_judge

CANDIDATE = "prompts/00-templates/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"
ONE = "{type: json_fields, fields: {part_class: 1.0}}"

OUTPUT = """\
  properties:
    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}
    ohms: {type: [number, "null"]}
    tags: {type: array, items: {type: string}}
    pins: {type: array, items: {$ref: "#/$defs/pin"}}
    maker: {type: object, properties: {name: {type: string}}}
    anything: {}
    layers: {$ref: "#/$defs/number~1of"}
  $defs:
    pin: {type: object, properties: {name: {type: string}, at: {type: integer}}}
    number/of: {$ref: "#/$defs/whole"}
    whole: {type: integer}
"""


@pytest.fixture
def rich(healthy: RepositoryFolder) -> RepositoryFolder:
    """The healthy repository with an output of every kind of value, and a module of functions."""
    only = "    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}\n"
    healthy.edit(CANDIDATE, f"  properties:\n{only}", OUTPUT)
    healthy.stamp("part-class")
    healthy.write("scorers/parts.py", "def score(output, expected, input):\n    return 1.0\n")
    healthy.write("scorers/broken.py", "def score(:\n")
    return healthy


def errors(folder: RepositoryFolder) -> list[Finding]:
    """What is wrong, without what an output of every kind of value is only warned of."""
    return [finding for finding in folder.findings() if finding.is_error]


def with_scorer(folder: RepositoryFolder, scorer: JsonObject, more: str = ONE) -> None:
    folder.edit(USER, f"- {ONE}", f"- {json.dumps(scorer)}\n  - {more}")


@pytest.mark.parametrize(
    "scorer",
    [
        {"type": "exact"},
        {"type": "exact", "field": "maker.name"},
        {"type": "text", "field": "maker.name", "similarity": 0.8},
        {"type": "number", "field": "ohms", "tolerance": 0.1, "relative_tolerance": 0.01},
        {"type": "regex", "field": "part_class", "pattern": "[a-z]+"},
        {"type": "json_schema", "schema": {"type": "object", "maxProperties": 3}},
        {"type": "json_fields"},
        {
            "type": "json_fields",
            "fields": {
                "part_class": 1,
                "ohms": {"compare": "number", "relative_tolerance": 0.01, "weight": 2},
                "tags": {"list": "set", "similarity": 0.9},
                "pins.name": {"list": "set"},
                "pins.at": {"compare": "number"},
                "anything.at.all": {"compare": "exact"},
            },
        },
        {"type": "set_f1", "field": "tags", "weight": 0.5},
        {"type": "set_f1", "field": "pins.at", "compare": "number", "tolerance": 1},
        {"type": "text", "field": "maker.name", "case": "keep"},
        {"type": "quantity", "field": "maker.name", "unit": "kΩ", "decimal": "comma"},
        {"type": "quantity", "field": "ohms", "unit": "Ω", "relative_tolerance": 0.01},
        {"type": "part_number", "field": "maker.name", "strip_packaging": True},
        {"type": "json_fields", "case": "keep", "fields": {"ohms": {"compare": "quantity"}}},
        {"type": "injection", "fields": ["title"], "kinds": ["ignore"], "share": 0.2},
        {"type": "python", "entry": "scorers.parts:score"},
        {"type": "python", "entry": "rapidfuzz.fuzz:ratio"},
    ],
)  # fmt: skip
def test_a_scorer_that_fits_is_valid(rich: RepositoryFolder, scorer: JsonObject) -> None:
    with_scorer(rich, scorer)
    assert errors(rich) == []


MODEL = [
    ({"type": "fuzzy"}, "scorers.0.type: found 'fuzzy'; expected one of: exact, text"),
    ({"weight": 1}, "scorers.0.type: found nothing; expected this field"),
    ({"type": "text"}, "scorers.0.field: found nothing; expected this field"),
    ({"type": "exact", "tolerance": 1}, "scorers.0.tolerance: found the key 'tolerance'"),
    ({"type": "exact", "weight": 0}, "scorers.0.weight: found 0"),
    ({"type": "number", "field": "ohms", "tolerance": -1}, "scorers.0.tolerance: found -1"),
    ({"type": "text", "field": "a..b"}, "scorers.0.field: found 'a..b'"),
    ({"type": "text", "field": "maker.name", "similarity": 2}, "scorers.0.similarity: found 2"),
    ({"type": "regex", "field": "part_class"}, "scorers.0.pattern: found nothing"),
    ({"type": "json_fields", "fields": {}}, "scorers.0.fields: found an empty mapping"),
    ({"type": "json_fields", "fields": {"ohms": -1}}, "scorers.0.fields.ohms: found -1"),
    ({"type": "json_fields", "fields": {"ohms": {"tolerance": 1}}}, "with compare: number only"),
    ({"type": "set_f1", "field": "tags", "compare": "exact", "similarity": 0.5}, "compare: text"),
    ({"type": "set_f1", "field": "tags", "list": "set"}, "scorers.0.list: found the key 'list'"),
    ({"type": "injection", "fields": []}, "scorers.0.fields: found an empty list"),
    ({"type": "injection", "fields": ["title"], "kinds": ["bribe"]}, "kinds.0: found 'bribe'"),
    ({"type": "injection", "fields": ["title"], "share": 0}, "scorers.0.share: found 0"),
    ({"type": "python", "entry": "../evil:score"}, "scorers.0.entry: found '../evil:score'"),
    ({"type": "python", "entry": "scorers.parts"}, "scorers.0.entry: found 'scorers.parts'"),
    ({"type": "quantity", "field": "ohms", "unit": "parsec"}, "unit: found 'parsec'"),
    ({"type": "quantity", "field": "ohms", "decimal": "dot"}, "decimal: found 'dot'"),
    ({"type": "json_fields", "fields": {"ohms": {"unit": "Ω"}}}, "unit with compare: quantity"),
    ({"type": "set_f1", "field": "tags", "compare": "exact", "case": "keep"}, "case with compare"),
    ({"type": "set_f1", "field": "tags", "strip_packaging": True}, "compare: part_number only"),
    ({"type": "judge", "votes": 3}, "scorers.0.votes: found the key 'votes'"),
]  # fmt: skip


@pytest.mark.parametrize(("scorer", "says"), MODEL)
def test_an_option_of_another_type_is_refused_where_it_stands(
    rich: RepositoryFolder, scorer: JsonObject, says: str
) -> None:
    with_scorer(rich, scorer)
    findings = errors(rich)
    assert {(item.problem.file, item.problem.line) for item in findings} == {(USER, 10)}
    assert says in "\n".join(str(finding.problem) for finding in findings)


FITS = [
    ({"type": "exact", "field": "colour"}, "field: found 'colour'; expected a property of the out"),
    ({"type": "text", "field": "ohms"}, "'ohms', which is no text in the output"),
    ({"type": "text", "field": "layers"}, "'layers', which is no text in the output"),
    ({"type": "text", "field": "maker.town"}, "field: found 'maker.town'"),
    ({"type": "number", "field": "part_class"}, "'part_class', which is no number"),
    ({"type": "regex", "field": "ohms", "pattern": "x"}, "no text in the output"),
    ({"type": "regex", "field": "pins.name", "pattern": "x"}, "leads through the list 'pins'"),
    ({"type": "regex", "field": "part_class", "pattern": "("}, "pattern: found '(': missing )"),
    ({"type": "regex", "field": "part_class", "pattern": "(?=a)"}, "expected a pattern in RE2's"),
    ({"type": "json_schema", "schema": {"type": "objekt"}}, "schema.type: found"),
    (
        {"type": "json_schema", "schema": {"type": "object", "properties": {"tag": {}}}},
        "schema.properties.tag: found 'tag'; expected a property of the output: part_class, ohms",
    ),
    ({"type": "json_fields", "fields": {"class": 1}}, "fields.class: found 'class'"),
    ({"type": "json_fields", "fields": {"part_class": {"list": "set"}}}, "no list in the output"),
    ({"type": "json_fields", "fields": {"tags": {"compare": "number"}}}, "no number in the output"),
    ({"type": "quantity", "field": "tags"}, "no text or number in the output"),
    ({"type": "part_number", "field": "ohms"}, "no text in the output"),
    ({"type": "set_f1", "field": "part_class"}, "no list in the output"),
    ({"type": "set_f1", "field": "pins.colour"}, "found 'pins.colour'"),
    ({"type": "injection", "fields": ["titel"]}, "fields.0: found 'titel'; expected a property of"),
    ({"type": "python", "entry": "scorers.missing:score"}, "neither in the repository's folder"),
    ({"type": "python", "entry": "scorers.parts:scores"}, "parts.py, which has no 'scores'"),
    ({"type": "python", "entry": "scorers.broken:score"}, "a module that does not parse"),
    ({"type": "python", "entry": "os:getcwd"}, "nor installed"),
    ({"type": "judge"}, "a judge that nobody named"),
]  # fmt: skip


@pytest.mark.parametrize(("scorer", "says"), FITS)
def test_a_scorer_that_does_not_fit_the_prompt_is_told(
    rich: RepositoryFolder, scorer: JsonObject, says: str
) -> None:
    with_scorer(rich, scorer)
    findings = errors(rich)
    assert {finding.rule for finding in findings} == {"scorers"}
    assert says in "\n".join(str(finding.problem) for finding in findings)


def test_a_value_that_no_path_leads_to_is_told_where_all_values_are_compared(
    rich: RepositoryFolder,
) -> None:
    dotted = "anything: {type: object, properties: {v.out: {type: number}}}"
    rich.edit(CANDIDATE, "anything: {}", dotted)
    rich.stamp("part-class")
    assert errors(rich) == []
    with_scorer(rich, {"type": "json_fields"})
    (told,) = errors(rich)
    assert (told.rule, told.problem.found) == (
        "scorers",
        "no fields, with 'v.out' in the output, whose dot leads into an object",
    )


# --- Warnings about what is expected ------------------------------------------------------------


Expected = str | float | list[str] | list[str | float]


def expecting(folder: RepositoryFolder, scorer: JsonObject, *names: Expected) -> list[str]:
    """What is said of a scorer whose examples expect these makers, or these tags."""
    with_scorer(folder, scorer)
    lines = folder.read(EXAMPLES).splitlines()
    for index, name in enumerate(names):
        line = json.loads(lines[index])
        what = {"tags": name} if isinstance(name, list) else {"maker": {"name": name}}
        line["expected"].update(what)
        lines[index] = json.dumps(line, ensure_ascii=False)
    folder.write(EXAMPLES, "\n".join(lines) + "\n")
    folder.stamp("part-class")
    findings = folder.findings()
    assert not any(finding.is_error for finding in findings)
    about = {"lost-difference", "unread-quantity"}
    return [f"{item.rule}: {item.problem}" for item in findings if item.rule in about]


TEXT: JsonObject = {"type": "text", "field": "maker.name"}
QUANTITY: JsonObject = {"type": "quantity", "field": "maker.name"}


@pytest.mark.parametrize("many", [0, scorers.MANY])
def test_values_that_differ_only_by_what_is_thrown_away_are_told(
    rich: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Also where there are so many different ones that little is kept of each."""
    monkeypatch.setattr(scorers, "MANY", many)
    (told,) = expecting(rich, TEXT, "10 mΩ", "10 V", "10 MΩ", "10 mΩ")
    assert told == (
        f"lost-difference: {USER}:10:31: scorers.0.field: found '10 mΩ' and '10 MΩ' expected as"
        " maker.name in lines 1 and 3 of the examples, which text calls the same; expected a"
        " comparison that tells them apart, or one spelling"
    )


@pytest.mark.parametrize(
    ("scorer", "names", "is_told"),
    [
        (TEXT, ("Würth", "Murata", "WÜRTH"), True),
        (TEXT, ("10³", "103"), False),
        ({**TEXT, "case": "fold"}, ("10 mΩ", "10 MΩ"), False),
        ({**TEXT, "case": "keep"}, ("10 mΩ", "10 MΩ"), False),
        ({"type": "json_fields", "fields": {"maker.name": 1}}, ("mF", "MF"), True),
        ({"type": "json_fields", "case": "keep", "fields": {"maker.name": 1}}, ("mF", "MF"), False),
        ({"type": "json_fields"}, ("mF", "MF"), True),
        ({"type": "json_fields", "case": "keep"}, ("mF", "MF"), False),
        ({"type": "set_f1", "field": "tags"}, (["mF", "nF"], ["MF"]), True),
        ({"type": "set_f1", "field": "tags", "case": "keep"}, (["mF", "nF"], ["MF"]), False),
        (QUANTITY, ("4k7", "4.7 kΩ", "10 mΩ", "10 MΩ"), False),
        ({"type": "part_number", "field": "maker.name"}, ("2N7002", "2n7002"), True),
        ({"type": "part_number", "field": "maker.name"}, ("2N7002,215", "2N7002"), False),
        (
            {"type": "part_number", "field": "maker.name", "strip_packaging": True},
            ("2N7002,215", "2N7002"),
            False,
        ),
        ({"type": "exact", "field": "maker.name"}, ("mF", "MF"), False),
    ],
)
def test_what_a_comparison_keeps_or_is_said_to_lose_is_not_told(
    rich: RepositoryFolder, scorer: JsonObject, names: tuple[str | list[str], ...], is_told: bool
) -> None:
    told = expecting(rich, scorer, *names)
    assert [line.partition(":")[0] for line in told] == ["lost-difference"] * is_told


@pytest.mark.parametrize(
    ("scorer", "names", "says"),
    [
        (QUANTITY, ("4k7", "X7R"), "found 'X7R' expected in line 2 of the examples: no number"),
        (QUANTITY, ("4,7 kΩ",), "',7 kΩ' behind a number without a unit; expected a quantity"),
        ({**QUANTITY, "decimal": "comma"}, ("4,7 kΩ",), ""),
        (QUANTITY, ("4700", "4.7 kΩ"), "'4.7 kΩ' with a unit and '4700' without one expected"),
        (QUANTITY, ("4700", "47"), ""),
        ({**QUANTITY, "unit": "Ω"}, ("4700", "4.7 kΩ"), ""),
        (TEXT, ("4700", "4.7 kΩ", "X7R"), ""),
    ],
)
def test_an_expected_value_that_is_no_quantity_is_told(
    rich: RepositoryFolder, scorer: JsonObject, names: tuple[str, ...], says: str
) -> None:
    told = expecting(rich, scorer, *names)
    assert len(told) == bool(says)
    assert all(line.startswith("unread-quantity: ") and says in line for line in told)


@pytest.mark.parametrize(
    ("scorer", "values", "says"),
    [
        (QUANTITY, ("64 kB", 64), "'64 kB' with a unit and 64 without one expected"),
        (QUANTITY, (6.4, "64 kB"), "'64 kB' with a unit and 6.4 without one expected"),
        ({"type": "set_f1", "field": "tags", "compare": "quantity"}, (["64 kB", 64],), "and 64 w"),
        (QUANTITY, (64, "64", 10**50), ""),
        (QUANTITY, (True, "64 kB"), ""),
        ({**QUANTITY, "unit": "B"}, ("64 kB", 64), ""),
        (TEXT, ("64 kB", 64, 64.0), ""),
    ],
)
def test_numbers_beside_values_with_a_unit_are_told(
    rich: RepositoryFolder, scorer: JsonObject, values: tuple[Expected, ...], says: str
) -> None:
    rich.edit(
        CANDIDATE,
        "properties: {name: {type: string}}}\n    any",
        "properties: {name: {}}}\n    any",
    )
    rich.edit(CANDIDATE, "tags: {type: array, items: {type: string}}", "tags: {type: array}")
    told = expecting(rich, scorer, *values)
    assert len(told) == bool(says)
    assert all(line.startswith("unread-quantity: ") and says in line for line in told)


@pytest.mark.parametrize(
    "schema",
    [
        '{$ref: "#/$defs/endless"}',
        "{type: array, items: {type: array, items: {type: string}}}",
        "{anyOf: [{type: string}, {type: array}]}",
        "true",
    ],
)
def test_a_schema_that_does_not_say_allows_anything(healthy: RepositoryFolder, schema: str) -> None:
    healthy.edit(
        CANDIDATE,
        "diode, transistor]}\n",
        f"diode, transistor]}}\n    odd: {schema}\n"
        '  $defs: {endless: {type: array, items: {$ref: "#/$defs/endless"}}}\n',
    )
    healthy.stamp("part-class")
    with_scorer(healthy, {"type": "text", "field": "odd.deep"})
    assert {finding.rule for finding in errors(healthy)} <= {"scorers"}


def test_a_broken_contract_is_told_once(healthy: RepositoryFolder) -> None:
    healthy.edit(CANDIDATE, "part_class: {type: string,", "part_class: {type: [{}],")
    healthy.stamp("part-class")
    with_scorer(healthy, {"type": "number", "field": "part_class"})
    assert healthy.rules_broken() == ["schema"]


def test_an_attack_needs_a_scorer_that_knows_what_is_right(rich: RepositoryFolder) -> None:
    rich.edit(USER, ONE, "{type: injection, fields: [title]}")
    (finding,) = errors(rich)
    assert "injection scorers only" in str(finding.problem)


def test_validation_runs_nobodys_code(rich: RepositoryFolder) -> None:
    trap = rich.path("sprung")
    rich.write("scorers/trap.py", f"open({str(trap)!r}, 'w')\ndef score(*a):\n    return 1\n")
    with_scorer(rich, {"type": "python", "entry": "scorers.trap:score"})
    assert errors(rich) == []
    assert not trap.exists()


def test_a_link_out_of_the_repository_is_no_way_in(rich: RepositoryFolder) -> None:
    outside = rich.root.parent / "outside"
    outside.mkdir()
    (outside / "far.py").write_text("def score(*a):\n    return 1\n")
    rich.path("linked").symlink_to(outside)
    with_scorer(rich, {"type": "python", "entry": "linked.far:score"})
    (finding,) = errors(rich)
    assert "lies outside" in finding.problem.found


# --- Judges ------------------------------------------------------------------------------------


def not_another_task(folder: RepositoryFolder) -> None:
    folder.edit(USER, f"task: {TASK}, ", "task: part-class, ")


def not_released(folder: RepositoryFolder) -> None:
    folder.edit(USER, f"task: {TASK}, version: 1.0.0", f"task: {TASK}, version: 2.0.0")


def nobody_scores(folder: RepositoryFolder) -> None:
    folder.edit(USER, "{type: judge}", ONE)


@pytest.mark.parametrize(
    ("scored", "votes", "calls"), [(500, 3, ""), (501, 3, "2,004"), (2100, 15, "32,000")]
)
def test_a_judge_asks_more_of_a_round_than_the_budget_has(
    healthy: RepositoryFolder, scored: int, votes: int, calls: str
) -> None:
    with_many_parts(healthy, scored, first_look=64, champion=True)
    add_judge(healthy)
    use_judge(healthy, f"votes: {votes}")
    rule = "score-watch-budget"
    found = [str(item.problem) for item in healthy.findings("part-class") if item.rule == rule]
    says = f"found 2,000; expected at least {calls}, what a round"
    assert [says in problem for problem in found] == ([True] if calls else [])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (not_another_task, "judge.task: found the task itself"),
        (not_released, "judge.version: found part-judge 2.0.0, which is neither in 02-production"),
        (nobody_scores, "a judge without a scorer of type 'judge'"),
    ],
)
def test_a_judge_that_cannot_be_used_is_told(
    healthy: RepositoryFolder, damage: Callable[[RepositoryFolder], None], says: str
) -> None:
    add_judge(healthy)
    use_judge(healthy)
    assert healthy.errors() == []
    damage(healthy)
    (finding,) = healthy.errors()
    assert (finding.rule, finding.problem.file) == ("judge", USER)
    assert says in str(finding.problem)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("minimum: 1, maximum: 5", "minimum: 1", "answers no integer 'grade' with minimum"),
        ("answer: {type: string}}", "reply: {type: string}}", "needs the input reply; expected no"),
        ("answer: {type: string}}", "answer: {type: object}}", "'answer' is an object; expected a"),
    ],
)
def test_a_judge_that_breaks_the_contract_is_told(
    healthy: RepositoryFolder, old: str, new: str, says: str
) -> None:
    prompt = PROMPT.replace(old, new)
    if "reply" in new:
        prompt = prompt.replace("expected, answer]", "expected, reply]").replace(
            "{{ answer }}", "{{ reply }}"
        )
    add_judge(healthy)
    use_judge(healthy)
    for file in (TEMPLATE, f"prompts/02-production/{TASK}.yaml"):
        healthy.write(file, _released(healthy, prompt) if "02" in file else prompt)
    found = [item for item in healthy.findings("part-class") if item.rule == "judge"]
    assert says in "\n".join(str(finding.problem) for finding in found)


def _released(folder: RepositoryFolder, prompt: str) -> str:
    """What promotion would have made of another prompt."""
    from prompt_hub.promotion.registry_writer import prompt_text
    from prompt_hub.repository.documents import to_model
    from prompt_hub.repository.schema import Prompt
    from prompt_hub.repository.yaml import parse_yaml

    champion = folder.repository.production(TASK)
    assert champion is not None
    assert champion.lock is not None
    fresh = to_model(parse_yaml(prompt, "prompt"), Prompt)
    lock = champion.lock.model_copy(update={"sha256": fresh.sha256})
    return prompt_text(fresh.model_copy(update={"lock": lock}))
