"""A promptfoo configuration becomes a task; what does not fit is listed with file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from prompt_hub.authoring.promptfoo.tests import shorthand
from prompt_hub.authoring.promptfoo.vocabulary import stated_fields
from prompt_hub.core.errors import ExitCode
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import JsonObject
from tests.unit.authoring.workshop import Workshop

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "promptfoo"


def config(name: str) -> str:
    return str(FIXTURES / name / "promptfooconfig.yaml")


def imported(workshop: Workshop, name: str, *more: str) -> None:
    """Import a fixture under the alias that the scripted model answers to."""
    words = (config(name), "--model", "catalogue-pinned", *more)
    assert workshop.take(f"from-{name}", *words) == ExitCode.OK
    assert [finding for finding in workshop.folder.findings() if finding.is_error] == []


def listed(message: str, heading: str) -> list[str]:
    """The lines below a heading of the output."""
    block = message.split(heading + "\n")[1]
    return [line.strip() for line in re.match(r"(?:  .*\n)*", block)[0].splitlines()]  # type: ignore[index]


def assert_lost(message: str, *expected: tuple[str, str]) -> None:
    """Each place has a line in the list of what was lost, and the line says what it was."""
    lost = listed(message, "Not carried over:")
    for place, what in expected:
        assert any(line.startswith(f"{place}: ") and what in line for line in lost), lost


def test_a_plain_text_prompt_with_a_csv_of_labels(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(workshop, "classify")
    text = capsys.readouterr().out
    repository = workshop.folder.repository
    prompt, metadata = repository.draft("from-classify"), repository.metadata("from-classify")
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert '{"answer": "…"}' in prompt.messages[0].content
    assert prompt.messages[1].content.startswith("Which class of electronic part is this?")
    assert prompt.model.parameters == {"temperature": 0, "max_tokens": 16}
    assert prompt.input["properties"] == {
        name: {"type": "string"} for name in ("part_number", "title", "maker")
    }
    examples = repository.examples("from-classify")
    assert [(example.id, example.expected["answer"]) for example in examples] == [
        ("thick-film-resistor", "resistor"),
        ("ceramic-capacitor", "capacitor"),
        ("test-3", "diode"),
        ("test-4", "diode"),
    ]
    assert examples[2].input["title"] == "Diode, switching,\n100 V"
    assert examples[2].tags == ("source:lcsc",)
    assert [scorer.type for scorer in metadata.scorers] == ["exact"]
    assert (metadata.limits.usd_per_call, metadata.limits.seconds_p95) == (0.002, 4.0)
    assert_lost(
        text,
        ("promptfooconfig.yaml:13", "'organization' of the provider"),
        ("promptfooconfig.yaml:14", "'openai:chat:gpt-4.1'"),
        ("promptfooconfig.yaml:17", "'options' of a test"),
        ("promptfooconfig.yaml:26", "'outputPath'"),
        ("prompts/long.txt:1", "--prompt 2"),
    )
    changed = listed(text, "Carried over in another form:")
    assert any(line.startswith("parts.csv:2: the answer as plain text") for line in changed)
    assert workshop.evaluated("from-classify").verdict.status is Status.PASS


def test_another_prompt_of_the_configuration(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(workshop, "classify", "--prompt", "2")
    content = workshop.folder.repository.draft("from-classify").messages[-1].content
    assert content.startswith("You sort electronic parts.")
    assert workshop.take("x", config("classify"), "--prompt", "3") == 2
    assert "There are: 1 prompt 1, 2 long." in capsys.readouterr().err


def test_answers_of_several_fields(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    imported(workshop, "fields")
    text = capsys.readouterr().out
    repository = workshop.folder.repository
    prompt, metadata = repository.draft("from-fields"), repository.metadata("from-fields")
    # It asks for JSON itself: nothing was added to it.
    assert [message.role for message in prompt.messages] == ["user"]
    assert "{{ record | tojson(true) }}" in prompt.messages[0].content
    assert prompt.input["properties"] == {
        "record": {"type": "object"},
        "strict": {"type": "boolean"},
        "notes": {"type": "string"},
    }
    assert prompt.output["required"] == ["ohms", "package"]
    # The schema is the contract: as a scorer, too, it would outweigh the fields.
    assert [(scorer.type, scorer.weight) for scorer in metadata.scorers] == [("exact", 1.0)]
    assert [example.expected for example in repository.examples("from-fields")] == [
        {"ohms": 10000, "package": "0603", "lead_free": True},
        {"ohms": 0.01, "package": "2512"},
    ]
    assert_lost(
        text,
        ("promptfooconfig.yaml:31", "'javascript': it is code"),
        ("promptfooconfig.yaml:40", "write a judge"),
        ("promptfooconfig.yaml:42", "its 'is-json' fails on its right answer"),
        ("promptfooconfig.yaml:48", "no assertion says what its right answer is"),
    )
    assert workshop.evaluated("from-fields").verdict.status is Status.PASS


def test_a_chat_and_tests_in_several_files(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(workshop, "support")
    text = capsys.readouterr().out
    repository = workshop.folder.repository
    prompt = repository.draft("from-support")
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[0].content.startswith("You answer customers of a shop, in {{ language")
    examples = repository.examples("from-support")
    # A variable that is a list stands for one test for each of its elements.
    assert [item.input["language"] for item in examples] == [
        "English",
        "German",
        "English",
        "English",
    ]
    assert [example.expected["answer"] for example in examples] == [
        "order 12",
        "order 12",
        "within 30 days",
        "Yes",
    ]
    assert [scorer.type for scorer in repository.metadata("from-support").scorers] == ["exact"]
    assert_lost(
        text,
        ("promptfooconfig.yaml:3", "made.py:create is a program"),
        ("promptfooconfig.yaml:12", "'threshold' of a test"),
        ("more/more.jsonl:3", "no assertion says"),
    )
    assert '"provider": "bedrock-converse"' in text
    assert workshop.evaluated("from-support").verdict.status is Status.PASS


def test_what_holds_of_every_right_answer_has_no_weight_beside_it(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(workshop, "mixed")
    scorers = workshop.folder.repository.metadata("from-mixed").scorers
    assert [scorer.model_dump(exclude_defaults=True) for scorer in scorers] == [
        {"type": "exact", "field": "answer"}
    ]
    changed = listed(capsys.readouterr().out, "Carried over in another form:")
    for kind in ("regex", "icontains-any"):
        assert any(f"'{kind}' (and 1 more like it): holds of the right" in line for line in changed)
    assert workshop.evaluated("from-mixed").verdict.status is Status.PASS


def test_notes_as_json(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    assert workshop.take("x", config("support"), "--json") == ExitCode.OK
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert {"file", "line", "lost", "said"} == notes[0].keys()
    assert {note["lost"] for note in notes} == {True, False}


PROMPT = {"prompts": ["Class of {{title}}?"], "providers": ["openai:gpt-4.1-mini"]}
TEST = {"vars": {"title": "resistor 1k"}, "assert": [{"type": "equals", "value": "resistor"}]}


def written(folder: Path, content: object, name: str = "promptfooconfig.yaml") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


UNUSABLE = [
    ({**PROMPT, "tests": []}, "no test in it says what the right answer is"),
    (PROMPT, "no test in it says what the right answer is"),
    ({"prompts": ["file://gone.py"], "tests": [TEST]}, "none of its prompts can be carried over"),
    ({"prompts": ["exec:./a.sh"], "tests": [TEST]}, "fetched from elsewhere"),
    ({"prompts": [[{"role": "tool", "content": "x"}]], "tests": [TEST]}, "of the role 'tool'"),
    ({**PROMPT, "tests": [{**TEST, "assert": [{"type": "python", "value": "1"}]}]}, "it is code"),
    ("just: a\nthing: true\n", "no test in it says what the right answer is"),
    ("a: [\n", "found nothing where a value belongs; expected a value"),
    ("a: &a [*a]\n", "valid YAML"),
    ("a: !!python/object:os.system {}\n", "valid YAML"),
    ({**PROMPT, "tests": "file:///etc/hostname.csv"}, "outside the configuration's folder"),
    ({**PROMPT, "tests": "file://../../../../etc/passwd.csv"}, "outside the configuration's"),
    ({**PROMPT, "tests": "file://nothing.csv"}, "no such file"),
    ({**PROMPT, "tests": [{**TEST, "vars": {"n": [*"ab" * 100], "m": [*"ab" * 100]}}]},
     "more than 20000 tests"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), UNUSABLE)
def test_where_nothing_is_usable_nothing_is_written(
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: object,
    said: str,
) -> None:
    before = workshop.snapshot()
    path = written(tmp_path / "project", content)
    assert workshop.take("fresh", path) in (ExitCode.BLOCKED, ExitCode.USAGE)
    assert said in capsys.readouterr().err
    assert workshop.snapshot() == before


@pytest.mark.parametrize(
    "content", [{**PROMPT, "tests": "file://circle.csv"}, {"prompts": ["file://circle.txt"]}]
)
def test_a_file_that_is_a_circle_of_links_is_no_file(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: JsonObject
) -> None:
    path = written(tmp_path / "project", {"tests": [TEST], **content})
    for name in ("circle.csv", "circle.txt"):
        (tmp_path / "project" / name).symlink_to(name)
    assert workshop.take("fresh", path) == ExitCode.BLOCKED
    assert "Too many levels of symbolic links" in capsys.readouterr().err


def test_aliases_of_aliases_are_no_bomb(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = written(tmp_path / "project", "\n".join(levels))
    assert workshop.take("fresh", path) == ExitCode.BLOCKED
    assert "more values than a configuration has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompts", "messages"),
    [
        (["Class of {{title}}?"], ["system", "user"]),
        ([{"raw": "Class of {{title}}?", "label": "short"}], ["system", "user"]),
        ([[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{title}}"}]],
         ["system", "user"]),
        (['[{"role": "user", "content": "{{title}}"}]'], ["system", "user"]),
        ([[{"role": "system", "content": "Class of {{title}}"}]], ["system", "user"]),
        ("file://p.yaml", ["system", "user", "assistant", "user"]),
        ({"file://p.md": "mine"}, ["system", "user"]),
    ],
)  # fmt: skip
def test_prompts_in_every_form(
    workshop: Workshop, tmp_path: Path, prompts: object, messages: list[str]
) -> None:
    project = tmp_path / "project"
    turns = [
        {"role": "user", "content": "capacitor 1 µF"},
        {"role": "assistant", "content": "capacitor"},
        {"role": "user", "content": "{{title}}"},
    ]
    written(project, turns, "p.yaml")
    written(project, "Class of {{title}}?\n", "p.md")
    if prompts == "file://p.yaml":
        prompts = ["file://p.yaml"]
    path = written(project, {**PROMPT, "prompts": prompts, "tests": [TEST, TEST]})
    words = (path, "--model", "catalogue-pinned")
    assert workshop.take("fresh", *words) == ExitCode.OK
    assert workshop.folder.findings() == []
    prompt = workshop.folder.repository.draft("fresh")
    assert [message.role for message in prompt.messages] == messages
    assert workshop.evaluated("fresh").verdict.status is Status.PASS


@pytest.mark.parametrize(
    ("provider", "alias", "setting"),
    [
        ("openai:gpt-4.1-mini", "gpt-4-1-mini", {"provider": "openai", "model": "gpt-4.1-mini"}),
        ({"id": "openai:chat:o4"}, "o4", {"provider": "openai", "model": "o4"}),
        ({"openai:responses:gpt-5": {"config": {}}}, "gpt-5",
         {"provider": "openai", "model": "gpt-5"}),
        ({"id": "bedrock:amazon.nova", "config": {"region": "eu-west-1"}}, "amazon-nova",
         {"provider": "bedrock-converse", "model": "amazon.nova", "region": "eu-west-1"}),
        ("bedrock:openai.gpt-oss-20b-1:0", "openai-gpt-oss-20b-1-0",
         {"provider": "bedrock", "model": "openai.gpt-oss-20b-1:0", "region": "us-east-1"}),
        ("ollama:chat:qwen2.5", "qwen2-5",
         {"provider": "openai", "model": "qwen2.5", "base_url": "https://YOUR-ENDPOINT/v1"}),
        *((f"{azure}:chat:my-deploy", "my-deploy",
           {"provider": "azure-openai", "model": "my-deploy",
            "base_url": "https://NAME.openai.azure.com"}) for azure in ("azure", "azureopenai")),
        ("file://mine.py", "file-mine-py", {"provider": "openai", "model": "…"}),
    ],
)  # fmt: skip
def test_a_provider_becomes_an_alias_that_must_be_configured(
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    provider: object,
    alias: str,
    setting: JsonObject,
) -> None:
    path = written(tmp_path / "p", {**PROMPT, "providers": [provider], "tests": [TEST]})
    assert workshop.take("fresh", path, "--json") == ExitCode.OK
    steps = json.loads(capsys.readouterr().out)["next"]
    assert json.dumps({alias: setting}, ensure_ascii=False) in steps[0]
    # A role signs calls of Bedrock; any other model is asked with a key.
    assert ("api_key_env" in steps[0]) is ("region" not in setting)
    assert workshop.folder.repository.draft("fresh").model.alias == alias


@pytest.mark.parametrize(
    ("text", "asserted"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("contains: Paris", {"type": "contains", "value": "Paris"}),
        ("similar(0.8):Hello", {"type": "similar", "value": "Hello", "threshold": 0.8}),
        ("contains-any: a, b", {"type": "contains-any", "value": ["a", "b"]}),
        ("fn: output > 1", {"type": "javascript", "value": "output > 1"}),
        ("grade: is nice", {"type": "llm-rubric", "value": " is nice"}),
        ("file://check.py:score", {"type": "python", "value": "file://check.py:score"}),
        ("not-contains: x", {"type": "not-contains", "value": "x"}),
        ("is-json", {"type": "is-json"}),
        ("ratio: 1:2", {"type": "equals", "value": "ratio: 1:2"}),
    ],
)
def test_assertions_as_csv_writes_them(text: str, asserted: JsonObject) -> None:
    assert shorthand(text) == asserted


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("output.colour === 'red'", {"colour": "red"}),
        ("output.n === 2.0 && output.ok === true;", {"n": 2, "ok": True}),
        ("output.n === 2 && output.n === 3", None),
        ("output.n === 2\n&& output.ok === true", None),
        ("output.colour !== 'red'", None),
        ("output.n > 2", None),
        ("output.a === 'x' || output.b === 'y'", None),
        ("process.exit()", None),
    ],
)
def test_fields_that_javascript_states(code: str, fields: JsonObject | None) -> None:
    assert stated_fields(code, parsed=True) == fields
    as_text = code.replace("output.", "JSON.parse(output).")
    assert stated_fields(as_text, parsed=False) == fields
    assert stated_fields(as_text, parsed=True) is None


OBJECT = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array"}, "one JSON object with named fields"),
        ({**OBJECT, "$ref": "https://example.com/s.json"}, "'https://example.com"),
        ({**OBJECT, "required": "n"}, "it is no JSON Schema"),
        ({"properties": {"n": None}}, "it is no JSON Schema"),
        ({"properties": {"n": {"$ref": "#/$defs/gone"}}}, "it is no JSON Schema"),
        ({"properties": {"n": {"type": "string", "pattern": "("}}}, "it is no JSON Schema"),
    ],
)
def test_a_schema_that_cannot_be_a_contract_is_named(
    workshop: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    schema: object,
    said: str,
) -> None:
    asserted = [{"type": "is-json", "value": schema}, {"type": "equals", "value": {"n": "1"}}]
    path = written(tmp_path / "p", {**PROMPT, "tests": [{**TEST, "assert": asserted}]})
    workshop.take("fresh", path)
    captured = capsys.readouterr()
    assert said in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_the_schema_of_a_structured_output_is_the_contract(
    workshop: Workshop, tmp_path: Path
) -> None:
    schema = {**OBJECT, "required": ["n"], "additionalProperties": False}
    settings = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    provider = {"id": "openai:gpt-5", "config": settings}
    code = {"type": "javascript", "value": "output.n === 3"}
    test = {**TEST, "assert": [code]}
    path = written(tmp_path / "p", {**PROMPT, "providers": [provider], "tests": [test]})
    words = (path, "--model", "catalogue-pinned")
    assert workshop.take("fresh", *words) == ExitCode.OK
    assert workshop.folder.repository.draft("fresh").output == schema
    assert workshop.folder.repository.examples("fresh")[0].expected == {"n": 3}
    assert workshop.evaluated("fresh").verdict.status is Status.PASS


def test_nothing_that_is_in_a_configuration_is_dropped_in_silence(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every key that the importer does not use is named, wherever it stands."""
    test = {
        **TEST,
        "strange-test-key": 1,
        "assert": [
            *TEST["assert"],
            {"type": "strange-type", "value": "x"},
            {"type": "llm-rubric", "value": "x", "strange-assertion-key": 1},
        ],
    }
    whole = {
        "prompts": [{"raw": "Class of {{title}}?", "strange-prompt-key": 1}],
        "providers": [
            {"id": "openai:a", "strange-provider-key": 1, "config": {"strange-setting": 1}}
        ],
        "defaultTest": {"strange-default-key": 1},
        "tests": [test],
        "strange-key": 1,
    }
    path = written(tmp_path / "p", whole)
    assert workshop.take("fresh", path) == ExitCode.OK
    lost = "\n".join(listed(capsys.readouterr().out, "Not carried over:"))
    for text in re.findall(r"strange-[a-z-]+", path and Path(path).read_text(encoding="utf-8")):
        assert f"'{text}'" in lost
