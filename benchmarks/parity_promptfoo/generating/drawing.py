"""One configuration, drawn from a seed: its prompts, its provider, its tests and their files."""

from __future__ import annotations

import json
from random import Random

from benchmarks.parity_promptfoo.configuration import Bare, Configuration, Effect, to_json, to_yaml
from benchmarks.parity_promptfoo.generating import assertions, schemas, suites
from benchmarks.parity_promptfoo.generating.fragments import template
from benchmarks.parity_promptfoo.generating.suites import Test
from benchmarks.parity_promptfoo.generating.values import Sort, value

_NAMES = {
    "title": Sort.TEXT, "note": Sort.TEXT, "count": Sort.NUMBER, "new": Sort.FLAG,
    "tags": Sort.LIST, "spec": Sort.OBJECT,
}  # fmt: skip
_ODD = (0.0, 0.1, 0.2, 0.35)
_ALL = (Effect.MESSAGES, Effect.VERDICT, Effect.IMPORT)


def configuration(seed: int, number: int) -> Configuration:
    """Return the configuration of this number; the same for the same seed."""
    draw = Random(f"{seed}/{number}")
    found = Configuration(number)
    odd = draw.choice(_ODD)
    names = ["title", *draw.sample([*_NAMES][1:], draw.randrange(3))]
    variables = {name: _NAMES[name] for name in names}
    config: dict[str, object] = {"description": f"Generated configuration {number}"}
    config["prompts"] = _prompts(draw, found, variables, odd)
    config["providers"] = _providers(draw, found, odd)
    structured = draw.random() < 0.4
    schema = schemas.draw_one(draw) if structured and draw.random() < 0.7 else None
    shared = draw.random() < 0.6
    default: dict[str, object] = {}
    if schema is not None:
        found.feature(schemas.words(schema), *_ALL)
    if schema is not None and shared:
        default["assert"] = [{"type": "is-json", "value": schema.schema}]
        found.feature(("'is-json'",), Effect.VERDICT)
    # Every combination of a list would be a test: mostly lists stay lists.
    if "tags" in variables and draw.random() < 0.7:
        default["options"] = {"disableVarExpansion": True}
        found.feature(("'options'",), Effect.MESSAGES)
    tests = [
        _test(draw, found, index, variables, odd, schema, shared=shared, structured=structured)
        for index in range(draw.randrange(2, 6))
    ]
    suites.put(draw, found, config, default, tests, odd)
    _settings(draw, found, config, odd)
    name = "promptfooconfig.yaml"
    found.files = {name: to_yaml(config), **found.files}
    found.feature(("the threshold of",), Effect.VERDICT)
    return found


def _settings(draw: Random, found: Configuration, config: dict[str, object], odd: float) -> None:
    """Add what is set for the whole configuration."""
    if draw.random() > odd / 2:
        return
    key, value = draw.choice(
        (
            ("evaluateOptions", {"maxConcurrency": 4}), ("evaluateOptions", {"repeat": 2}),
            ("commandLineOptions", {"repeat": 1}), ("env", {"HOME_TOWN": "Ulm"}),
            ("tags", {"team": "parts"}), ("sharing", False),
            ("nunjucksFilters", {"upcase": "file://upcase.js"}),
            ("derivedMetrics", [{"name": "double", "value": "accuracy * 2"}]),
            ("assertionTemplates", {"short": {"type": "regex", "value": "^.{1,40}$"}}),
        )
    )  # fmt: skip
    config[key] = value
    repeated = [Effect.TEST] if key == "evaluateOptions" else []
    found.feature((f"'{key}'",), Effect.MESSAGES, Effect.IMPORT, *repeated)
    if key == "nunjucksFilters":
        found.files["upcase.js"] = "module.exports = (text) => String(text).toUpperCase();\n"
    if key == "assertionTemplates":
        tests = config.get("tests")
        first = tests[0] if isinstance(tests, list) else None
        if isinstance(first, dict) and isinstance(first.get("assert"), list):
            first["assert"].append({"$ref": "#/assertionTemplates/short"})
            found.feature(("'regex'",), Effect.VERDICT, Effect.IMPORT)


def _test(
    draw: Random,
    found: Configuration,
    index: int,
    variables: dict[str, Sort],
    odd: float,
    schema: schemas.Schema | None,
    *,
    shared: bool,
    structured: bool,
) -> Test:
    key = f"K{index:02}"
    if structured:
        asserted = assertions.structured(draw, schema, odd=odd, shared=shared)
    else:
        asserted = assertions.plain(draw, odd=odd)
    values: dict[str, object] = {"key": key}
    for name, sort in variables.items():
        if draw.random() < odd / 4:  # It is left out.
            found.feature((f"'{name}'",), Effect.MESSAGES, Effect.IMPORT, test=key)
            continue
        other = draw.choice([*Sort]) if draw.random() < odd / 8 else sort
        values[name] = value(draw, other, odd=odd, bare=True)
        if values[name] is None or draw.random() < odd / 8:
            values[name] = None
    for words in asserted.words:
        found.feature(words, Effect.VERDICT, Effect.IMPORT, test=key)
        if words == ("'options'",):
            found.feature(words, Effect.MESSAGES, test=key)
    found.answers.append((f"({key})", asserted.answer))
    return Test(key, values, asserted.assertions, dict(asserted.options))


def _prompts(draw: Random, found: Configuration, variables: dict[str, Sort], odd: float) -> object:
    number = 2 if draw.random() < odd / 2 else 1
    entries = [_prompt(draw, found, variables, odd, index) for index in range(number)]
    if number == 1 and isinstance(entries[0], str) and draw.random() < odd:
        return entries[0]
    return entries


def _prompt(
    draw: Random, found: Configuration, variables: dict[str, Sort], odd: float, index: int
) -> object:
    text, named = template(draw, variables, odd=odd)
    for words in named:
        found.feature(words, Effect.MESSAGES, Effect.IMPORT)
    chat = draw.random() < 0.4
    if chat:
        return _chat(draw, found, text, odd, index)
    forms = ["inline", "txt", "labelled", "id"]
    if draw.random() < odd:
        forms += [
            "md",
            "j2",
            "raw",
            "csv",
            "txt-cut",
            "md-rule",
            "plain-path",
            "function",
            "glob",
            "map",
            "jsonl",
        ]
    form = draw.choice(forms)
    path = f"prompts/ask{index}"
    found.feature(("the prompt",), Effect.IMPORT)
    match form:
        case "inline":
            return text
        case "labelled":
            return {"label": f"ask {index}", "raw": text}
        case "raw":
            return {"id": f"ask-{index}", "raw": text}
        case "csv":
            cell = text.replace('"', '""')
            found.files[f"{path}.csv"] = f'prompt\n"{cell}"\n'
            return f"file://{path}.csv"
        case "txt-cut":
            end = draw.choice(("\n---\n", "\n --- \n", "\r\n---\r\n"))
            found.files[f"{path}.txt"] = f"{text}{end}Another one ({{{{ key }}}})\n"
            return f"file://{path}.txt"
        case "md-rule":
            found.files[f"{path}.md"] = f"---\nname: x\n---\n{text}\n---\nend\n"
            return f"file://{path}.md"
        case "function":
            found.files[f"{path}.py"] = (
                "def build(context):\n    return 'Class of (' + context['vars']['key'] + ')?'\n"
            )
            return draw.choice((f"file://{path}.py:build", f"{path}.py:build", f"{path}.py"))
        case "map":
            found.files[f"{path}.txt"] = text
            return {"id": f"file://{path}.txt", "display": f"ask {index}"}
        case "jsonl":
            found.files[f"{path}.jsonl"] = json.dumps([{"role": "user", "content": text}]) + "\n"
            return f"file://{path}.jsonl"
        case "plain-path" | "glob":
            found.files[f"{path}.txt"] = text
            return f"{path}.txt" if form == "plain-path" else "file://prompts/*.txt"
        case _:
            suffix = {"id": "txt"}.get(form, form)
            tail = draw.choice(("", "\n", "\n\n", "  \n")) if odd else "\n"
            found.files[f"{path}.{suffix}"] = text + tail
            reference = f"file://{path}.{suffix}"
            return {"id": reference, "label": f"ask {index}"} if form == "id" else reference


def _chat(draw: Random, found: Configuration, text: str, odd: float, index: int) -> object:
    system = draw.choice(("You sort parts.", "You sort parts.\nBe brief.\n", "Sort {{ title }}."))
    role = "developer" if draw.random() < odd / 4 else "system"
    messages: list[dict[str, object]] = [{"role": role, "content": system}]
    if draw.random() < odd:
        messages.append({"role": "user", "content": "Which?"})
        messages.append({"role": "assistant", "content": draw.choice(("diode", '{"class": "x"}'))})
    if draw.random() < odd / 4:
        messages[0]["name"] = "boss"
        found.feature(("'name'",), Effect.MESSAGES)
    messages.append({"role": "user", "content": text})
    forms = ["json", "yaml", "inline-json", "inline-yaml", "list-in-raw"]
    if draw.random() < odd:
        forms = ["messages", "parts", "loop", "dumped", "template-json"]
    form = draw.choice(forms)
    found.feature(("the prompt",), Effect.IMPORT)
    path = f"prompts/chat{index}"
    match form:
        case "json":
            found.files[f"{path}.json"] = to_json(messages)
            return f"file://{path}.json"
        case "yaml":
            found.files[f"{path}.yaml"] = to_yaml(messages)
            return f"file://{path}.yaml"
        case "messages":
            found.files[f"{path}.json"] = to_json({"messages": messages})
            return f"file://{path}.json"
        case "parts":
            messages[-1]["content"] = [
                {"type": "text", "text": text},
                {"type": "text", "text": "!"},
            ]
            found.feature(("text",), Effect.MESSAGES)
            found.files[f"{path}.json"] = to_json(messages)
            return f"file://{path}.json"
        case "loop":
            return (
                '[{"role": "system", "content": "Sort."}{% for i in [1, 2] %},'
                '{"role": "user", "content": "{{ i }} ({{ key }})"}{% endfor %}]'
            )
        case "dumped":
            return (
                '[{"role": "system", "content": "Sort."},'
                '{"role": "user", "content": {{ ("Part " + title + " (" + key + ")") | dump }}}]'
            )
        case "template-json":
            found.files[f"{path}.json"] = (
                '[{"role": "user", "content": "{{ title }} ({{ key }})"}]\n'
            )
            return f"file://{path}.json"
        case "inline-json":
            return json.dumps(messages)
        case "inline-yaml":
            return to_yaml(messages)
        case _:
            return {"label": f"chat {index}", "raw": json.dumps(messages)}


def _providers(draw: Random, found: Configuration, odd: float) -> object:
    name = draw.choice(("openai:chat:gpt-test", "openai:chat:scripted-model"))
    if draw.random() > odd:
        return draw.choice((name, [name], [{"id": name, "config": {"temperature": 0}}]))
    provider: dict[str, object] = {"id": name}
    kind = draw.choice(("transform", "delay", "config", "format", "two", "map", "prompts", "label"))
    match kind:
        case "transform":
            provider["transform"] = draw.choice(
                ("output.trim()", "output.toLowerCase()", "output.split(' ')[0]")
            )
            found.feature(("'transform'",), Effect.VERDICT)
        case "delay":
            provider["delay"] = 1
        case "config":
            provider["config"] = {
                "temperature": Bare("0.5"), "max_tokens": 50, "top_p": 1, "seed": 3,
                "stop": ["\n"], "presence_penalty": 0,
            }  # fmt: skip
        case "format":
            provider["config"] = {"response_format": {"type": "json_object"}}
            found.feature(("'response_format'",), Effect.VERDICT)
        case "two":
            return [name, "openai:chat:second-model"]
        case "map":
            return [{name: {"config": {"temperature": 1}}}]
        case "prompts":
            provider["prompts"] = ["ask 0"]
            found.feature(("'prompts'",), Effect.MORE_TESTS)
        case _:
            provider["label"] = "the model"
    return [provider]
