"""Rules about prompts that people write: the candidate and the judge."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.core import wording
from prompt_hub.repository.contracts import SchemaProblem, properties, required, schema_problems
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.rendering import Renderer, RenderError
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.validation.loops import path_faults
from prompt_hub.validation.rules.base import Rule, task_rule, tree_rule
from prompt_hub.validation.tree import MessageTemplate, Source, TaskFiles, Tree


def _schema_faults(files: TaskFiles, rule: str) -> Iterator[Problem]:
    for source in files.people_write:
        for name in ("input", "output"):
            for problem in schema_problems(getattr(source.content, name)):
                if problem.rule == rule:
                    yield _placed(source, name, problem)


def _placed(source: Source[Prompt], name: str, problem: SchemaProblem) -> Problem:
    location = (name, *problem.location)
    if problem.rule == "schema-keyword":
        return source.key_problem(
            location, problem.found, problem.expected, suggestion=problem.suggestion
        )
    return source.problem(location, problem.found, problem.expected, suggestion=problem.suggestion)


@task_rule("schema")
def _contracts_are_schemas(files: TaskFiles) -> Iterator[Problem]:
    """Input and output are usable JSON Schemas of objects.

    Correct the schema; references stay inside it (`#/$defs/...`), patterns without look-around.
    """
    yield from _schema_faults(files, "schema")


@task_rule("schema-keyword")
def _keywords_exist(files: TaskFiles) -> Iterator[Problem]:
    """Input and output use keywords that JSON Schema has: others are skipped without a word.

    Correct the spelling; notes of your own go into `description` or under `x-...`.
    """
    yield from _schema_faults(files, "schema-keyword")


@task_rule("question")
def _ends_with_a_question(files: TaskFiles) -> Iterator[Problem]:
    """The last message is the user's: it carries the record.

    Put a message with `role: user` last.
    """
    for source in files.people_write:
        last = len(source.content.messages) - 1
        role = source.content.messages[last].role
        if role != "user":
            yield source.problem(("messages", last, "role"), repr(role), "'user'")


_RANGES = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "max_tokens": (1, 1_000_000)}


@task_rule("model-parameters")
def _parameters_make_sense(files: TaskFiles) -> Iterator[Problem]:
    """Sampling parameters are in the range that providers take.

    Write temperature 0 to 2, top_p 0 to 1, and whole numbers for max_tokens and seed.
    """
    for source in files.people_write:
        for name, value in source.content.model.parameters.items():
            low, high = _RANGES.get(name, (-(2**63), 2**63 - 1))
            whole = name in {"max_tokens", "seed"}
            if not low <= value <= high or (whole and not isinstance(value, int)):
                kind = "a whole number" if whole else "a number"
                expected = f"{kind} from {low:g} to {high:g}"
                yield source.problem(("model", "parameters", name), repr(value), expected)


@task_rule("model-alias")
def _alias_has_a_meaning(files: TaskFiles) -> Iterator[Problem]:
    """Candidate, judge and released version name an alias that `cdk.json` gives a meaning.

    Correct the alias, or add it to `models` in `cdk.json`; a repository without one is not asked.
    """
    if files.aliases is None:
        return
    released = (files.production,) if files.production else ()
    for source in (*files.people_write, *released):
        alias = source.content.model.alias
        if alias not in files.aliases:
            expected = f"an alias of `models` in cdk.json: {', '.join(sorted(files.aliases))}"
            meant = closest(alias, files.aliases)
            yield source.problem(("model", "alias"), repr(alias), expected, suggestion=meant)


# --- Templates ---------------------------------------------------------------------------------


def _faults(files: TaskFiles, rule: str) -> Iterator[Problem]:
    for template in files.templates:
        for fault in template.reading.faults:
            if fault.rule == rule:
                offset = template.whole.line_start(fault.line)
                yield template.problem(offset, fault.found, fault.expected)


@task_rule("template-syntax")
def _templates_parse(files: TaskFiles) -> Iterator[Problem]:
    """Every message is a Jinja2 template.

    Close what is open; braces that are meant as text stand in `{% raw %}`.
    """
    yield from _faults(files, "template-syntax")


@task_rule("template-unsafe")
def _templates_are_safe(files: TaskFiles) -> Iterator[Problem]:
    """A template uses only what docs/prompts.md lists: nothing that could run away.

    Say it with fields, conditions, loops and the filters that are listed.
    """
    yield from _faults(files, "template-unsafe")


def _paths(files: TaskFiles, rule: str) -> Iterator[Problem]:
    for template in files.templates:
        if template.reading.tree is None or template.reading.faults:
            continue
        for fault in path_faults(template.reading.tree, template.source.content.input):
            if fault.rule == rule:
                offset = template.whole.find(fault.word, fault.line)
                meant = closest(fault.word, fault.choices)
                yield template.problem(offset, fault.found, fault.expected, suggestion=meant)


@task_rule("unbounded-loop")
def _loops_are_bounded(files: TaskFiles) -> Iterator[Problem]:
    """A loop goes over something whose length the input schema bounds, within the step limit.

    Give the array `maxItems` (an object `maxProperties`), or loop over less at once.
    """
    yield from _paths(files, "unbounded-loop")


@task_rule("undeclared-variable")
def _variables_are_declared(files: TaskFiles) -> Iterator[Problem]:
    """Every variable of a template is a property of the input.

    Correct the name, or declare the property in `input`.
    """
    for template in files.templates:
        declared = properties(template.source.content.input)
        for name, line in sorted(template.reading.variables.items()):
            if name not in declared:
                yield template.problem(
                    template.whole.find(name, line),
                    f"the variable {name!r}",
                    f"a property of the input: {', '.join(declared) or 'it has none'}",
                    suggestion=closest(name, declared),
                )
    yield from _paths(files, "undeclared-variable")


@task_rule("unused-property")
def _properties_are_used(files: TaskFiles) -> Iterator[Problem]:
    """Every property of the input is used by some message.

    Use it in a message, or take it out of `input`.
    """
    for source in files.people_write:
        mine = [
            message_template
            for message_template in files.templates
            if message_template.source is source
        ]
        if len(mine) < len(source.content.messages) or any(map(_is_broken, mine)):
            continue  # said by the rules of what is broken
        used = set().union(*(template.reading.variables for template in mine))
        for name in properties(source.content.input):
            if name not in used:
                location = ("input", "properties", name)
                found = "a property that no message uses"
                yield source.key_problem(location, found, "its use")


def _is_broken(template: MessageTemplate) -> bool:
    return bool(template.reading.faults)


@task_rule("render")
def _renders(files: TaskFiles) -> Iterator[Problem]:
    """Every example renders, with and without the fields that may be missing.

    Name the field among `input.required`, or write a template that does without it.
    """
    if files.candidate is None or files.whole is None:
        return
    mine = [
        message_template
        for message_template in files.templates
        if message_template.source is files.candidate
    ]
    declared = properties(files.whole.input).keys()
    if any(
        template.reading.faults or template.reading.variables.keys() - declared for template in mine
    ):
        return  # said by the rules above
    # Shots are examples too and rendered as such; leaving them out keeps this linear.
    prompt = files.whole.model_copy(update={"few_shot": None})
    renderer = Renderer(prompt)
    needed = required(prompt.input)
    failures: dict[tuple[str, str], list[int]] = {}
    for line, example in files.examples:
        if problem := _failure(renderer, example.input):
            failures.setdefault((problem, ""), []).append(line)
            continue
        given = example.input.keys()
        if given <= needed or not needed <= given:
            continue
        least = {name: value for name, value in example.input.items() if name in needed}
        if problem := _failure(renderer, least):
            left_out = ", ".join(sorted(example.input.keys() - least.keys()))
            failures.setdefault((problem, left_out), []).append(line)
    for (problem, left_out), lines in failures.items():
        more = f" (and in {len(lines) - 1} more examples)" if len(lines) > 1 else ""
        without = f" without the optional {left_out}" if left_out else ""
        expected = "a prompt for every valid input"
        if left_out:
            expected = "the field among input.required, or a template that does without it"
        yield files.example_problem(lines[0], ("input",), f"{problem}{without}{more}", expected)


def _failure(renderer: Renderer, fields: JsonObject) -> str:
    try:
        renderer.render(fields)
    except RenderError as error:
        return error.message.rstrip(".")
    return ""


@task_rule("few-shot-examples", "warning")
def _examples_are_drawn(files: TaskFiles) -> Iterator[Problem]:
    """A candidate says how many examples are shown, not which: others are drawn in their place.

    Delete `few_shot.examples`; give those that are to be shown `split: shot` in `01-examples`.
    """
    few_shot = files.candidate.content.few_shot if files.candidate else None
    if files.candidate and few_shot is not None and few_shot.examples is not None:
        found = f"{wording.count(len(few_shot.examples), 'example')} that nobody is shown"
        location = ("few_shot", "examples")
        yield files.candidate.key_problem(location, found, "none: they are drawn")


# --- Drafts ------------------------------------------------------------------------------------


@tree_rule("draft-lock")
def _drafts_are_unlocked(tree: Tree) -> Iterator[Problem]:
    """A draft has no lock: promotion writes it.

    Delete `lock`.
    """
    for draft in tree.drafts:
        if draft.content.lock is not None:
            yield draft.key_problem(("lock",), "a lock", "none: promotion writes it")


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _contracts_are_schemas,
    _keywords_exist,
    _ends_with_a_question,
    _parameters_make_sense,
    _alias_has_a_meaning,
    _templates_parse,
    _templates_are_safe,
    _loops_are_bounded,
    _variables_are_declared,
    _properties_are_used,
    _renders,
    _examples_are_drawn,
)

TREE_RULES: tuple[Rule[Tree], ...] = (_drafts_are_unlocked,)
