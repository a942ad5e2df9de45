"""The rules of the prompt repository: small functions, each with an id, that yield problems.

A rule looks at one task or at the whole tree, and never raises for what a file holds. Files that
could not be read are reported by the reading itself; a rule that needs one of them stays silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from re import fullmatch
from typing import Generic, TypeVar

from prompt_hub.pipeline.columns import normalise
from prompt_hub.prompts.documents import Location, Problem
from prompt_hub.prompts.hashing import sha256_of
from prompt_hub.prompts.models import (
    TASK_PATTERN,
    JsonObject,
    Prompt,
    RegisteredTask,
    VersionState,
    version_key,
)
from prompt_hub.prompts.render import RenderError, render, variables_of
from prompt_hub.prompts.repository import (
    ARCHIVE,
    EVALS,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    REVIEWS,
    PromptRepository,
    examples_sha256,
)
from prompt_hub.validate import secrets
from prompt_hub.validate.schemas import misfits, properties, required, schema_problems
from prompt_hub.validate.scorer_rules import judge_fits, scorers_fit
from prompt_hub.validate.tree import Finding, Source, TaskFiles, Tree, read_tree

SubjectT = TypeVar("SubjectT")
Check = Callable[[SubjectT], Iterator[Problem]]


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A rule: its id, a line of documentation, and the check."""

    id: str
    documentation: str
    check: Check[SubjectT]


TASK_RULES: list[Rule[TaskFiles]] = []
TREE_RULES: list[Rule[Tree]] = []


def _rule(
    rules: list[Rule[SubjectT]], identifier: str
) -> Callable[[Check[SubjectT]], Check[SubjectT]]:
    def register(check: Check[SubjectT]) -> Check[SubjectT]:
        rules.append(Rule(identifier, (check.__doc__ or "").splitlines()[0], check))
        return check

    return register


def check(repository: PromptRepository, task: str | None = None) -> tuple[Tree, list[Finding]]:
    """Every finding in the repository, or those about `task`, in the order of files and lines.

    Nothing that looks like a key is repeated in a finding.
    """
    tree = read_tree(repository)
    findings = list(tree.unreadable)
    for whole in TREE_RULES:
        findings += (Finding(whole.id, problem) for problem in whole.check(tree))
    for files in tree.tasks.values():
        for rule in TASK_RULES:
            findings += (Finding(rule.id, problem, files.task) for problem in rule.check(files))
    if task is not None:
        findings = [finding for finding in findings if tree.touches(task, finding)]
    unique = dict.fromkeys(replace(it, problem=_redacted(it.problem)) for it in findings)
    return tree, sorted(unique, key=_place)


def _redacted(problem: Problem) -> Problem:
    return replace(
        problem,
        field=secrets.redacted(problem.field),
        found=secrets.redacted(problem.found),
        expected=secrets.redacted(problem.expected),
    )


def _place(finding: Finding) -> tuple[str, int, int, str]:
    problem = finding.problem
    return problem.file, problem.line, problem.column, finding.rule


# --- The tree ----------------------------------------------------------------------------------


@_rule(TREE_RULES, "secret")
def _no_secrets(tree: Tree) -> Iterator[Problem]:
    """No file holds anything that looks like a key."""
    for file, text in tree.texts.items():
        for line, column, name in secrets.find(text):
            expected = "no key in the repository: revoke it, and take it out of git's history too"
            yield Problem(file, line, column, "", f"what looks like {name}", expected)


_ENDINGS = {
    EXAMPLES: {".jsonl", ".yaml"},
    PRODUCTION: {".yaml"},
    METADATA: {".yaml"},
    EVALS: {".json", ".jsonl"},
    ARCHIVE: {".yaml"},
}


@_rule(TREE_RULES, "file-name")
def _names_are_tasks(tree: Tree) -> Iterator[Problem]:
    """Files lie where their layer looks for them, named after a task."""
    for file in tree.files:
        path = PurePosixPath(file)
        layer = path.parts[1] if len(path.parts) > 2 else ""
        if layer not in _ENDINGS or path.name == "README.md":
            continue
        nested = layer in {EVALS, ARCHIVE}
        review = layer == EVALS and len(path.parts) == 5 and path.parts[3] == REVIEWS
        expected_depth = 5 if review else 4 if nested else 3
        task = path.parts[2] if nested else path.stem
        if len(path.parts) != expected_depth:
            shape = f"prompts/{layer}/TASK/VERSION" if nested else f"prompts/{layer}/TASK"
            yield Problem(file, 1, 1, "", "a file in this folder", f"{shape}{path.suffix}")
        elif path.suffix not in _ENDINGS[layer]:
            endings = " or ".join(sorted(_ENDINGS[layer]))
            yield Problem(file, 1, 1, "", f"the ending {path.suffix!r}", endings)
        elif not fullmatch(TASK_PATTERN, task):
            expected = "lower-case words joined by hyphens"
            yield Problem(file, 1, 1, "", f"the task name {task!r}", expected)


# --- Metadata ----------------------------------------------------------------------------------


@_rule(TASK_RULES, "live")
def _complete(files: TaskFiles) -> Iterator[Problem]:
    """A task has metadata and examples."""
    for layer, ending in ((METADATA, "yaml"), (EXAMPLES, "jsonl")):
        if layer not in files.layers:
            missing = f"prompts/{layer}/{files.task}.{ending}"
            what = "metadata" if layer == METADATA else "examples"
            others = ", ".join(sorted(files.layers)) or "the registry"
            found = f"no {what}, though {others} has {files.task!r}"
            yield Problem(missing, 1, 1, "", found, "this file: both make a task live")


@_rule(TASK_RULES, "metadata-task")
def _metadata_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the task that its file is named after."""
    if files.metadata and files.metadata.content.task != files.task:
        found = repr(files.metadata.content.task)
        yield files.metadata.problem(("task",), found, f"{files.task!r}, as the file is called")


@_rule(TASK_RULES, "candidate")
def _candidate_is_there(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names a candidate that is a YAML file below `prompts/`."""
    if files.metadata is not None:
        yield from _names_a_prompt(files, ("candidate",), files.metadata.content.candidate)


def _names_a_prompt(files: TaskFiles, location: Location, name: str) -> Iterator[Problem]:
    assert files.metadata is not None
    path = (files.prompts / name).resolve()
    found = ""
    if not path.is_relative_to(files.prompts.resolve()):
        found = f"{name!r}, outside prompts/"
    elif not path.is_file():
        found = f"{name!r}, which does not exist"
    elif path.suffix != ".yaml":
        found = f"{name!r}, no YAML file"
    if found:
        expected = f"a file below prompts/ such as '00-templates/{files.task}.yaml'"
        yield files.metadata.problem(location, found, expected)


@_rule(TASK_RULES, "candidate-task")
def _candidate_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """The candidate is a prompt of this task."""
    if files.candidate and files.candidate.content.task != files.task:
        found = repr(files.candidate.content.task)
        yield files.candidate.problem(("task",), found, repr(files.task))


@_rule(TASK_RULES, "candidate-lock")
def _candidate_is_unlocked(files: TaskFiles) -> Iterator[Problem]:
    """A candidate has no lock: promotion writes it."""
    if files.candidate and files.candidate.content.lock is not None:
        yield files.candidate.problem(("lock",), "a lock", "none: promotion writes it")


@_rule(TASK_RULES, "candidate-version")
def _versions_agree(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the candidate's version."""
    if files.metadata and files.candidate:
        named, is_ = files.metadata.content.version, files.candidate.content.version
        if named != is_:
            expected = f"{is_}, the version of {files.metadata.content.candidate}"
            yield files.metadata.problem(("version",), named, expected)


@_rule(TASK_RULES, "up-to-date")
def _up_to_date(files: TaskFiles) -> Iterator[Problem]:
    """Metadata was stamped for these examples and this input and output."""
    if not (files.metadata and files.candidate and files.examples):
        return
    stamped = files.metadata.content.up_to_date
    prompt = files.candidate.content
    now = {
        "examples": examples_sha256(example for _, example in files.examples),
        "input": sha256_of(prompt.input),
        "output": sha256_of(prompt.output),
    }
    for name, sha256 in now.items():
        if getattr(stamped, name) != sha256:
            yield files.metadata.problem(
                ("up_to_date", name),
                f"a stamp from before the {name} changed",
                f"{sha256}: look the metadata over, then run"
                f" 'python pipeline_image/validate_prompt.py --stamp {files.task}'",
            )


_rule(TASK_RULES, "scorers")(scorers_fit)
_rule(TASK_RULES, "judge")(judge_fits)


@_rule(TASK_RULES, "score-watch")
def _watch_can_fire(files: TaskFiles) -> Iterator[Problem]:
    """The score alarm needs no more bad samples than it looks at."""
    if files.metadata:
        watch = files.metadata.content.score_watch
        if watch.datapoints_to_alarm > watch.evaluation_periods:
            yield files.metadata.problem(
                ("score_watch", "datapoints_to_alarm"),
                str(watch.datapoints_to_alarm),
                f"at most evaluation_periods, {watch.evaluation_periods}",
            )


@_rule(TASK_RULES, "records")
def _columns_fit(files: TaskFiles) -> Iterator[Problem]:
    """Record columns belong to properties of the input, each name to one of them."""
    if not (files.metadata and files.candidate):
        return
    inputs = properties(files.candidate.content.input)
    claimed: dict[str, str] = {}
    for field, columns in files.metadata.content.records.columns.items():
        here = ("records", "columns", field)
        if field not in inputs:
            expected = f"a property of the input: {', '.join(inputs) or 'it has none'}"
            yield files.metadata.problem(here, repr(field), expected)
        for index, column in enumerate(columns):
            other = claimed.setdefault(normalise(column), field)
            if other != field:
                found = f"{column!r}, which {other!r} claims too"
                yield files.metadata.problem((*here, index), found, "one field for a column")


# --- Prompts -----------------------------------------------------------------------------------


def _unreleased(files: TaskFiles) -> Iterator[Source[Prompt]]:
    """The prompts that people write."""
    if files.candidate is not None:
        yield files.candidate


@_rule(TASK_RULES, "schema")
def _contracts_are_schemas(files: TaskFiles) -> Iterator[Problem]:
    """Input and output are usable JSON Schemas of objects."""
    for source in _unreleased(files):
        for name in ("input", "output"):
            for location, found, expected in schema_problems(getattr(source.content, name)):
                yield source.problem((name, *location), found, expected)


@_rule(TASK_RULES, "question")
def _ends_with_a_question(files: TaskFiles) -> Iterator[Problem]:
    """The last message is the user's: it carries the record."""
    for source in _unreleased(files):
        last = len(source.content.messages) - 1
        role = source.content.messages[last].role
        if role != "user":
            yield source.problem(("messages", last, "role"), repr(role), "'user'")


def _templates(files: TaskFiles) -> Iterator[tuple[Source[Prompt], Prompt]]:
    """Where a template stands, and the prompt with its building blocks in place."""
    if files.candidate and files.whole:
        yield files.candidate, files.whole


def _variables(prompt: Prompt) -> Iterator[tuple[int, set[str]]]:
    for index, message in enumerate(prompt.messages):
        try:
            yield index, variables_of(message.content)
        except RenderError:
            yield index, set()


@_rule(TASK_RULES, "template")
def _templates_parse(files: TaskFiles) -> Iterator[Problem]:
    """Every message is a Jinja2 template."""
    for source, prompt in _templates(files):
        for index, message in enumerate(prompt.messages):
            try:
                variables_of(message.content)
            except RenderError as error:
                location = ("messages", index, "content")
                yield source.problem(location, error.message, "a Jinja2 template")


@_rule(TASK_RULES, "undeclared-variable")
def _variables_are_declared(files: TaskFiles) -> Iterator[Problem]:
    """Every variable of a template is a property of the input."""
    for source, prompt in _templates(files):
        declared = properties(prompt.input)
        for index, variables in _variables(prompt):
            for name in sorted(variables - declared.keys()):
                yield source.problem(
                    ("messages", index, "content"),
                    f"the variable {name!r}",
                    f"a property of the input: {', '.join(declared) or 'it has none'}",
                )


@_rule(TASK_RULES, "unused-property")
def _properties_are_used(files: TaskFiles) -> Iterator[Problem]:
    """Every property of the input is used by some message."""
    for source, prompt in _templates(files):
        used = set().union(*(variables for _, variables in _variables(prompt)))
        for name in properties(prompt.input):
            if name not in used:
                location = ("input", "properties", name)
                yield source.problem(location, "a property that no message uses", "its use")


@_rule(TASK_RULES, "render")
def _renders(files: TaskFiles) -> Iterator[Problem]:
    """Every example renders, with and without the fields that may be missing."""
    if files.candidate is None or files.whole is None:
        return
    # Shots are examples too and rendered as such; leaving them out keeps this linear.
    prompt = files.whole.model_copy(update={"few_shot": None})
    declared = properties(prompt.input).keys()
    if any(variables - declared for _, variables in _variables(prompt)):
        return  # said by `undeclared-variable`
    needed = required(prompt.input)
    failures: dict[tuple[str, str], list[int]] = {}
    for line, example in files.examples:
        if problem := _failure(prompt, example.input):
            failures.setdefault((problem, ""), []).append(line)
            continue
        least = {name: value for name, value in example.input.items() if name in needed}
        if needed <= least.keys() and (problem := _failure(prompt, least)):
            left_out = ", ".join(sorted(example.input.keys() - least.keys()))
            failures.setdefault((problem, left_out), []).append(line)
    for (problem, left_out), lines in failures.items():
        more = f" (and in {len(lines) - 1} more examples)" if len(lines) > 1 else ""
        without = f" without the optional {left_out}" if left_out else ""
        expected = "a prompt for every valid input"
        if left_out:
            expected = "the field among input.required, or a template that does without it"
        yield files.example_problem(lines[0], (), f"{problem}{without}{more}", expected)


def _failure(prompt: Prompt, fields: JsonObject) -> str:
    try:
        render(prompt, fields)
    except RenderError as error:
        return error.message.rstrip(".")
    return ""


# --- Examples ----------------------------------------------------------------------------------


@_rule(TASK_RULES, "example-id")
def _ids_are_unique(files: TaskFiles) -> Iterator[Problem]:
    """Every example has an id of its own."""
    first: dict[str, int] = {}
    for line, example in files.examples:
        if example.id in first:
            found = f"{example.id!r}, which line {first[example.id]} has already"
            yield files.example_problem(line, ("id",), found, "an id of its own")
        first.setdefault(example.id, line)


@_rule(TASK_RULES, "example-input")
def _inputs_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every example's input fits the candidate's input schema."""
    if files.candidate:
        inputs = ((line, it.input) for line, it in files.examples)
        yield from _fit(files, "input", inputs, files.candidate.content.input)


@_rule(TASK_RULES, "example-expected")
def _outputs_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every example's expected output fits the candidate's output schema."""
    if files.candidate:
        outputs = ((line, it.expected) for line, it in files.examples)
        yield from _fit(files, "expected", outputs, files.candidate.content.output)


def _fit(
    files: TaskFiles, name: str, values: Iterable[tuple[int, JsonObject]], schema: JsonObject
) -> Iterator[Problem]:
    if schema_problems(schema):
        return  # said by `schema`
    for line, value in values:
        for location, message in misfits(value, schema):
            contract = "input" if name == "input" else "output"
            here = (name, *location)
            yield files.example_problem(line, here, message, f"what the {contract} schema allows")


@_rule(TASK_RULES, "example-eval")
def _something_to_score(files: TaskFiles) -> Iterator[Problem]:
    """At least one example is there to be scored."""
    if files.examples and all(example.split != "eval" for _, example in files.examples):
        yield files.example_problem(1, (), "shots only", "at least one example with split: eval")


# --- Released versions -------------------------------------------------------------------------


@_rule(TASK_RULES, "released-task")
def _released_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """Released and archived prompts are prompts of this task."""
    for source in files.released:
        if source.content.task != files.task:
            yield source.problem(("task",), repr(source.content.task), repr(files.task))


@_rule(TASK_RULES, "archive-name")
def _archive_is_in_place(files: TaskFiles) -> Iterator[Problem]:
    """An archived prompt is named after its version."""
    for source in files.archive:
        if source.content.version != source.path.stem:
            expected = f"{source.path.stem}, as the file is called"
            yield source.problem(("version",), source.content.version, expected)


@_rule(TASK_RULES, "version-moves")
def _content_moves_the_version(files: TaskFiles) -> Iterator[Problem]:
    """Content that differs from a released version has another version."""
    if not (files.candidate and files.whole):
        return
    for source in files.released:
        released = source.content
        if released.version == files.whole.version and released.sha256 != files.whole.sha256:
            yield files.candidate.problem(
                ("version",),
                f"{files.whole.version}, which is released with other content",
                "a higher version: bump the version here and in the metadata",
            )


@_rule(TASK_RULES, "version-order")
def _versions_go_up(files: TaskFiles) -> Iterator[Problem]:
    """A candidate is not older than the released version."""
    if files.candidate and files.production:
        mine, released = files.candidate.content.version, files.production.content.version
        if version_key(mine) < version_key(released):
            expected = f"{released}, which is released, or a higher version"
            yield files.candidate.problem(("version",), mine, expected)


# --- Registry ----------------------------------------------------------------------------------


@_rule(TASK_RULES, "registry-released")
def _registry_agrees_with_production(files: TaskFiles) -> Iterator[Problem]:
    """What the registry calls released is what lies in 02-production."""
    if files.registry is None:
        return
    entry = files.registered
    if files.production is None:
        if entry and entry.released and PRODUCTION not in files.layers:
            found = f"{entry.released}, but prompts/{PRODUCTION} has no {files.task}.yaml"
            yield files.registry_problem(("released",), found, "null, or the file")
        return
    prompt = files.production.content
    if entry is None or entry.released != prompt.version:
        says = entry.released if entry else "nothing"
        expected = f"{prompt.version}, as in {files.production.document.file}"
        yield files.registry_problem(("released",), str(says), expected)
        return
    for location, sha256, expected in (
        (("sha256",), entry.sha256, prompt.sha256),
        (
            ("versions", prompt.version, "sha256"),
            entry.versions[prompt.version].sha256,
            prompt.sha256,
        ),
    ):
        if sha256 != expected:
            wanted = f"{expected}, the hash of {files.production.document.file}"
            yield files.registry_problem(location, str(sha256), wanted)


@_rule(TASK_RULES, "registry-task")
def _task_agrees_with_its_released_version(files: TaskFiles) -> Iterator[Problem]:
    """The registry says of a task the threshold and the model of its released version."""
    entry = files.registered
    if entry is None or entry.released is None:
        return
    version = entry.versions[entry.released]
    for name, said, expected in (
        ("threshold", entry.threshold, version.threshold),
        ("model", entry.model, version.model),
    ):
        if said != expected:
            wanted = f"{expected}, as of version {entry.released}"
            yield files.registry_problem((name,), str(said), wanted)


@_rule(TASK_RULES, "registry-lock")
def _locks_agree_with_the_registry(files: TaskFiles) -> Iterator[Problem]:
    """A lock names the evaluation record that the registry has for the version."""
    versions = files.registered.versions if files.registered else {}
    for source in files.released:
        registered, lock = versions.get(source.content.version), source.content.lock
        if registered and lock and lock.evaluation != registered.evaluation:
            wanted = f"{registered.evaluation!r}, as in the registry"
            yield source.problem(("lock", "evaluation"), repr(lock.evaluation), wanted)


@_rule(TASK_RULES, "evaluation-name")
def _records_are_in_place(files: TaskFiles) -> Iterator[Problem]:
    """An evaluation record is of the task and the version that its file is named after."""
    for version, source in files.evaluations.items():
        record = source.content if isinstance(source.content, dict) else {}
        for name, expected in (("task", files.task), ("version", version)):
            if record.get(name) != expected:
                wanted = f"{expected!r}, as the file is called"
                yield source.problem((name,), repr(record.get(name)), wanted)


@_rule(TASK_RULES, "registry-state")
def _one_version_is_released(files: TaskFiles) -> Iterator[Problem]:
    """The released version, and no other, has the state `released`."""
    entry = files.registered
    for version, registered in (entry.versions if entry else {}).items():
        released = entry is not None and version == entry.released
        if released != (registered.state is VersionState.RELEASED):
            expected = "released" if released else "any state but released"
            location = ("versions", version, "state")
            yield files.registry_problem(location, str(registered.state), expected)


@_rule(TASK_RULES, "registry-files")
def _registered_versions_exist(files: TaskFiles) -> Iterator[Problem]:
    """Every version in the registry has its file and its evaluation record."""
    entry = files.registered
    kept = {source.content.version for source in files.released}
    kept |= {source.path.stem for source in files.archive}
    for version, registered in (entry.versions if entry else {}).items():
        here = ("versions", version)
        if not (files.prompts / registered.evaluation).is_file():
            found = f"{registered.evaluation!r}, which prompts/ does not have"
            yield files.registry_problem((*here, "evaluation"), found, "an evaluation record")
        if registered.state is not VersionState.BLOCKED and not _has_file(files, version, entry):
            found = f"{registered.state}, but no file of version {version}"
            expected = f"prompts/{ARCHIVE}/{files.task}/{version}.yaml"
            yield files.registry_problem((*here, "state"), found, expected)


def _has_file(files: TaskFiles, version: str, entry: RegisteredTask | None) -> bool:
    if entry is not None and version == entry.released:
        return True  # said by `registry-released`
    return (files.prompts / ARCHIVE / files.task / f"{version}.yaml").exists()


@_rule(TASK_RULES, "registry-archive")
def _archive_is_registered(files: TaskFiles) -> Iterator[Problem]:
    """Every archived prompt is in the registry, with its hash."""
    if files.registry is None:
        return
    versions = files.registered.versions if files.registered else {}
    for source in files.archive:
        version, sha256 = source.content.version, source.content.sha256
        if version not in versions:
            found = f"{version}, which the registry does not know"
            yield source.problem(("version",), found, "a registered version")
        elif versions[version].sha256 != sha256:
            wanted = f"{sha256}, the hash of {source.document.file}"
            location = ("versions", version, "sha256")
            yield files.registry_problem(location, versions[version].sha256, wanted)
