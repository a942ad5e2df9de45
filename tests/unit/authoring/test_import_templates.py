"""An imported prompt says what the other tool sent, or is refused with its line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import Node, Source
from prompt_hub.authoring.importing.form import Draft
from prompt_hub.authoring.importing.formats.dotprompt import dotprompt
from prompt_hub.authoring.importing.formats.langfuse import langfuse
from prompt_hub.authoring.importing.formats.mlflow import mlflow
from prompt_hub.authoring.importing.formats.openai_prompt import openai_prompt
from prompt_hub.authoring.importing.formats.prompty import prompty
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.templates import render_text

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "imports"
RECORDED = json.loads((FIXTURES / "recorded.json").read_text(encoding="utf-8"))
"""Files that the tools themselves rendered, each with its version, an input, and what was sent."""
PAGES: dict[str, tuple[str, Callable[[Path, Notes], Draft]]] = {
    "prompty": ("a.prompty", prompty),
    "dotpromptz": ("a.prompt", dotprompt),
}


def of_page(tool: str, text: str, folder: Path, notes: Notes | None = None) -> Draft:
    name, read = PAGES[tool]
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read(path, notes or Notes())


def of_template(tool: str, text: str, notes: Notes | None = None) -> Draft:
    template: JsonValue = json.loads(text) if text.startswith("[{") else text
    if tool == "langfuse":
        node = Node({"prompt": template}, Source("a.json"))
        return langfuse(node, notes or Notes())
    return mlflow(Node({"template": template}, Source("a.json")), notes or Notes())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: str(case["tool"]))
def test_what_is_sent_is_what_the_tool_itself_sends(
    case: dict[str, JsonValue], tmp_path: Path
) -> None:
    tool, text = str(case["tool"]).split()[0], str(case["file"])
    draft = of_page(tool, text, tmp_path) if tool in PAGES else of_template(tool, text)
    fields = case["input"]
    assert isinstance(fields, dict)
    sent = [[item.role, render_text(item.content, fields)] for item in draft.messages]
    expected = case["sent"]
    assert isinstance(expected, list)
    if tool in PAGES:  # White space around a message is left out, which has a line in the list.
        sent = [[role, said.strip()] for role, said in sent]
        expected = [[role, said.strip()] for role, said in expected]  # type: ignore[misc, union-attr, str-unpack]
    assert sent == expected


def refused(read: Callable[[], Draft]) -> str:
    with pytest.raises(InvalidDocumentsError) as error:
        read()
    return error.value.message


HEAD = """\
---
input:
  schema:
    name: string
    size: number
    open: boolean
    place:
      town: string
    tags(array): string
---
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("Hi\n{{#each name}}x{{/each}}", "a.prompt:12:1: found a loop over 'name'"),
        ("{{#with place}}{{town}}{{/with}}", "found {{#with place}}"),
        ("{{> header}}", "found {{> header}}"),
        ("{{../name}}", "found '../name' outside of a loop"),
        ("{{#each tags}}x{{else}}{{../name}}{{/each}}", "found '../name' outside of a loop"),
        ("{{media url=name}}", "found {{media url=name}}; expected text"),
        ("{{~name}}", "'~', which takes white space away"),
        ("\\{{name}}", "a backslash before a tag"),
        ('{{#if open}}{{role "user"}}x{{/if}}', "inside a block; expected one outside"),
        ('{{role "tool"}}x', "the role 'tool'; expected one of system"),
        ("{{tags}}", "the array 'tags' written out"),
        ("{{place.street}}", "place.street; expected a field that is declared"),
        ("{{#ifEquals size 1}}x{{/ifEquals}}", "a comparison of 'size'"),
        ("{{#ifEquals name size}}x{{/ifEquals}}", "a comparison of 'name'"),
        ("{{#if place}}x{{/if}}", "a condition of the object 'place'"),
        ("{{#if open}}x", "{{#if}} without an end"),
        ("x{{/if}}", "{{/if}}, which ends nothing"),
        ("{{upper name}}", "found {{upper name}}"),
        ("{{json name indent=9}}", "an indent of at most 4"),
        ("{{self}}", "found {{self}}; expected a field's name"),
        ("a\u200bb", "(zero width space)"),
        ('{{role "model"}}x', ""),
    ],
)
def test_handlebars_that_ours_cannot_say_is_refused_with_its_line(
    body: str, found: str, tmp_path: Path
) -> None:
    if not found:  # The model's only message asks the question.
        assert of_page("dotpromptz", HEAD + body, tmp_path).messages[0].role == "user"
        return
    said = refused(lambda: of_page("dotpromptz", HEAD + body, tmp_path))
    assert found.lower() in said.lower()
    assert said.startswith("a.prompt:1")


def test_where_a_list_is_empty_names_are_those_around_the_loop(tmp_path: Path) -> None:
    schema = "input:\n  schema:\n    host: string\n    guests(array):\n      name: string"
    body = "{{#each guests}}{{name}} of {{../host}}{{else}}Nobody for {{host}}{{/each}}!"
    draft = of_page("dotpromptz", f"---\n{schema}\n---\n{body}", tmp_path)
    (message,) = draft.messages
    assert render_text(message.content, {"host": "Ada", "guests": []}) == "Nobody for Ada!"
    guests = [{"name": "Kim"}]
    assert render_text(message.content, {"host": "Ada", "guests": guests}) == "Kim of Ada!"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("Product", "the type 'Product'; expected one of any"),
        ("\n    a: Product", "a.prompt:4:1: found the type 'Product'"),
        ("\n    a(map): string", "found (map)"),
        ("\n    a: 3", "a schema that is neither fields nor a type"),
    ],
)
def test_picoschema_that_names_another_schema_is_refused(
    schema: str, found: str, tmp_path: Path
) -> None:
    text = f"---\ninput:\n  schema: {schema}\n---\n{{{{a}}}}"
    assert found in refused(lambda: of_page("dotpromptz", text, tmp_path))


def prompty_of(language: str, body: str, inputs: str = "") -> str:
    return f"---\ntemplate: {language}\ninputs:\n  flag: {{type: boolean}}{inputs}\n---\n{body}"


@pytest.mark.parametrize(
    ("language", "body", "found"),
    [
        ("jinja2", "user:\nA {{flag}}", "a.prompty:7:1: found boolean 'flag' written out"),
        ("jinja2", "user:\n\n{{ a | tojson }}", "a.prompty:8:1: found the filter 'tojson'"),
        ("jinja2", "user:\n{{ a == 'x' }}", "a condition written out"),
        ("jinja2", "user:\n{% set a = 1 %}", "found {% set %}"),
        ("jinja2", "user:\n{{ a.upper() }}", "found a call"),
        ("jinja2", f"user:\n{{{{ a{'[0]' * 5000} }}}}", "expressions nested without end"),
        ("jinja2", "{% if flag %}\nuser:\nx\n{% endif %}", "a.prompty:6:1: found"),
        ("mustache", "user:\n{{#a}}x{{/a}}", "a section of 'a'"),
        ("mustache", "user:\n{{>a}}", "found {{>a}}"),
        ("mustache", "user:\n{{=<% %>=}}", "a template that stands in one file"),
        ("mustache", "user:\n{{flag}}", "the boolean 'flag' written out"),
        ("mustache", "{{#flag}}\nuser:\nx{{/flag}}", "{{#flag}} without an end"),
        ("liquid", "user:\nx", "a.prompty:2:1: found the template language 'liquid'"),
        ("jinja2", "tool:\nx", "a message of the role 'tool'"),
        ("jinja2", "user:\nx\nassistant:\ny", "a last message of the assistant's"),
        ("jinja2", "\n\n", "a prompt without a text"),
    ],
)
def test_prompty_that_ours_cannot_say_is_refused_with_its_line(
    language: str, body: str, found: str, tmp_path: Path
) -> None:
    assert found in refused(lambda: of_page("prompty", prompty_of(language, body), tmp_path))


INSIDE = """
  user: {kind: object, properties: {name: {kind: string}, active: {kind: boolean}}}
  flags: {kind: array, items: {kind: boolean}}"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("{{ user.active }}", "boolean in 'user'"),
        ("{{ user['active'] }}", "boolean in 'user'"),
        ("{{ flags[0] }}", "boolean in 'flags'"),
        ("{{ flags | join(', ') }}", "boolean in 'flags'"),
        ("{% for each in flags %}{{ each }}{% endfor %}", "boolean 'each'"),
        ("{% for each in flags %}{{ loop.last }}{% endfor %}", "a condition"),
        ("{{ flag | default('no') }}", "boolean 'flag'"),
        ("{{ user.name | default(false) }}", "a constant"),
        ("{{ user.name or flag }}", "boolean 'flag'"),
        ("{{ 'no' if user.name else flag }}", "boolean 'flag'"),
        ("{{ flag | trim }}", "boolean 'flag'"),
        ("{{ flags[:1] | join }}", "boolean in 'flags'"),
        ("{{ (['x'] or flags) | join }}", "boolean in 'flags'"),
        ("{{ [flag, 'x'] | join }}", "boolean in 'flag'"),
        (
            "{% for a in ['x'] %}{{ a }}{% endfor %}{% for a in flags %}{{ a }}{% endfor %}",
            "boolean 'a'",
        ),
        ("{% for flag in ['x'] %}{% else %}{{ flag }}{% endfor %}", "boolean 'flag'"),
    ],
)
def test_what_python_writes_otherwise_is_refused_wherever_it_stands(
    body: str, found: str, tmp_path: Path
) -> None:
    page = prompty_of("jinja2", f"user:\n{body}", INSIDE)
    said = refused(lambda: of_page("prompty", page, tmp_path))
    assert f"a.prompty:9:1: found {found} written out" in said


def test_a_sample_says_what_its_fields_are(tmp_path: Path) -> None:
    front = "sample:\n  user: {name: Ada, active: true, since: null}\n  docs: [{title: A}]"
    page = f"---\ntemplate: LANGUAGE\n{front}\n---\nuser:\n"
    said = refused(
        lambda: of_page("prompty", page.replace("LANGUAGE", "jinja2") + "{{user.active}}", tmp_path)
    )
    assert "found boolean in 'user' written out" in said
    body = "{{{user.name}}}:{{#docs}}{{{title}}};{{/docs}}"
    draft = of_page("prompty", page.replace("LANGUAGE", "mustache") + body, tmp_path)
    fields = {"user": {"name": "Ada"}, "docs": [{"title": "A"}, {"title": "B"}]}
    assert render_text(draft.messages[0].content, fields) == "Ada:A;B;"
    assert draft.variables["user"]["properties"] == {
        "name": {"type": "string"},
        "active": {"type": "boolean"},
        "since": {},
    }


@pytest.mark.parametrize("tool", ["prompty", "dotpromptz"])
def test_values_stand_in_the_order_in_which_the_prompt_reads_them(
    tool: str, tmp_path: Path
) -> None:
    values = dict.fromkeys("hgfedcba", "x")
    front = {"sample": values} if tool == "prompty" else {"input": {"default": values}}
    body = " ".join(f"{{{{{name}}}}}" for name in sorted(values))
    page = f"---\n{json.dumps(front)}\n---\n{'user:' * (tool == 'prompty')}\n{body}"
    assert [*of_page(tool, page, tmp_path).samples] == sorted(values)


def test_texts_inside_of_fields_are_written_alike(tmp_path: Path) -> None:
    body = "{{ user.name | default('x') }}{% if user.active or flags[0] %}!{% endif %}"
    body += "{% for flags in ['?'] %}{{ flags }}{% endfor %}"
    draft = of_page("prompty", prompty_of("jinja2", f"user:\n{body}", INSIDE), tmp_path)
    fields = {"user": {"name": "Ada", "active": True}, "flags": [False]}
    assert render_text(draft.messages[0].content, fields) == "Ada!?"


@pytest.mark.parametrize("language", ["jinja2", "mustache"])
def test_an_input_that_is_no_text_is_left_out_on_a_line_of_its_own_alone(
    language: str, tmp_path: Path
) -> None:
    picture = "\n  picture: {kind: image}"
    page = prompty_of(language, "user:\nWhat is it?\n{{picture}}", picture)
    draft = of_page("prompty", page, tmp_path)
    assert [message.content for message in draft.messages] == ["What is it?"]
    page = prompty_of(language, "user:\nWhat is in {{picture}}?", picture)
    said = refused(lambda: of_page("prompty", page, tmp_path))
    assert "a.prompty:8:1: found the input 'picture' among the words of a message" in said
    assert said.endswith("tasks read text alone")


ORDERS = """
  shop: {kind: string}
  orders:
    kind: array
    items:
      kind: object
      properties:
        who: {kind: string}
        lines: {kind: array, items: {kind: object, properties: {what: {kind: string}}}}"""


def test_a_name_in_sections_of_mustache_is_looked_for_from_the_inside_out(tmp_path: Path) -> None:
    line = "{{{what}}} for {{{who}}} at {{{shop}}}"
    body = f"user:\n{{{{#orders}}}}{{{{#lines}}}}{line};{{{{/lines}}}}{{{{/orders}}}}"
    draft = of_page("prompty", prompty_of("mustache", body, ORDERS), tmp_path)
    assert draft.variables.keys() == {"orders", "shop"}
    orders = [{"who": "Ada", "lines": [{"what": "pins"}, {"what": "caps"}]}]
    sent = render_text(draft.messages[0].content, {"shop": "X", "orders": orders})
    assert sent == "pins for Ada at X;caps for Ada at X;"


@pytest.mark.parametrize(
    "front",
    [
        "sample:\n  docs: [{title: A}, {name: B}]",
        "inputs:\n  docs: {type: array}",
        "inputs:\n  title: {type: string}\n  docs: {type: array, items: {type: object}}",
    ],
)
def test_a_name_that_may_be_a_field_of_an_element_is_refused(front: str, tmp_path: Path) -> None:
    page = f"---\ntemplate: mustache\n{front}\n---\nuser:\n{{{{#docs}}}}{{{{title}}}}{{{{/docs}}}}"
    said = refused(lambda: of_page("prompty", page, tmp_path))
    assert "found 'title' in a section of a list; expected a field that is declared" in said


def test_mustache_escapes_and_we_do_not(tmp_path: Path) -> None:
    notes = Notes()
    draft = of_page("prompty", prompty_of("mustache", "user:\n{{a}} {{{b}}}"), tmp_path, notes)
    assert render_text(draft.messages[0].content, {"a": "R&D", "b": "<"}) == "R&D <"
    said = [str(note) for note in notes.all() if "escaped" in str(note)]
    assert said == [
        "a.prompty:7: the variable 'a': nothing is escaped here: Mustache writes & < > and quotes"
        " as &amp; and so on"
    ]


@pytest.mark.parametrize(
    ("tool", "text", "found"),
    [
        ("langfuse", "Hi {{user.name}}", "found {{user.name}}; expected a field's name"),
        ("langfuse", "Hi {{first name}}", "found {{first name}}"),
        ("langfuse", "@@@langfusePrompt:name=base|label=production@@@ x", "another prompt"),
        ("langfuse", '[{"role": "tool", "content": "x"}]', "a message of the role 'tool'"),
        ("langfuse", '[{"role": "user"}]', "a message without 'content'"),
        (
            "langfuse",
            '[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]',
            "content of the type 'image_url'",
        ),
        ("mlflow", "Hi {{ user.name }}", "found {{user.name}}"),
        ("mlflow", "{% for x in xs %}{{ x | sort }}{% endfor %}", "the filter 'sort'"),
        ("mlflow", "{% include 'a' %}", "a.json:1:1: found"),
        ("mlflow", "{% if a %}", "a.json:1:1: found"),
    ],
)
def test_names_in_braces_that_are_no_fields_are_refused(tool: str, text: str, found: str) -> None:
    assert found in refused(lambda: of_template(tool, text))


def test_an_openai_prompt_takes_texts_and_nothing_else() -> None:
    export: dict[str, JsonValue] = {
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": "Look: {{picture}}"}],
        "variables": {"picture": {"type": "input_image", "image_url": "x"}},
    }
    said = refused(lambda: openai_prompt(Node(export, Source("a.json")), Notes()))
    assert "a value of 'picture' that is no text" in said


def test_blocks_nested_without_end_are_refused(tmp_path: Path) -> None:
    body = "{{#if open}}" * 5000 + "x" + "{{/if}}" * 5000
    said = refused(lambda: of_page("dotpromptz", HEAD + body, tmp_path))
    assert "blocks nested without end" in said


@pytest.mark.parametrize("tool", ["langfuse", "prompty", "dotpromptz"])
@pytest.mark.parametrize("piece", ["{{", "{{!--", "{{{", "}}", " ", "system ", "{% ", "{{a}}"])
def test_texts_made_to_be_slow_end_at_once(tool: str, piece: str, tmp_path: Path) -> None:
    """Every step is linear in the text: what is refused and what is not, both come soon."""
    text = piece * (45_000 // len(piece))
    body = f"{text}\n{text}"
    with contextlib.suppress(InvalidDocumentsError):
        if tool == "langfuse":
            of_template(tool, f"x {body}")
        elif tool == "prompty":
            of_page(tool, prompty_of("mustache", f"user:\n{body}"), tmp_path)
        else:
            of_page(tool, body, tmp_path)


LOOP = "{% for item in items %}{{ item }}{% endfor %}"


def test_a_list_that_jinja_loops_over_gets_a_bound(tmp_path: Path) -> None:
    notes = Notes()
    chat = [{"role": "system", "content": "{% if items %}A list{% endif %}"}]
    draft = of_template("mlflow", json.dumps([*chat, {"role": "user", "content": LOOP}]), notes)
    assert draft.variables == {"items": {"type": "array", "maxItems": 100}}
    assert "a loop needs a bound, set yours" in str(notes.all())
    page = prompty_of("jinja2", f"system:\n{{% if items %}}A{{% endif %}}\nuser:\n{LOOP}")
    page = page.replace("inputs:\n", "inputs:\n  items: {kind: array}\n")
    draft = of_page("prompty", page, tmp_path)
    assert draft.variables["items"]["maxItems"] == 100  # type: ignore[index, call-overload]


def test_a_text_longer_than_any_prompt_is_refused() -> None:
    said = refused(lambda: of_template("langfuse", "x" * 100_001))
    assert "found a text of 100001 characters; expected at most 100000" in said
