"""All rules of the prompt repository, and the check that applies them.

A rule looks at one task or at the whole tree, and never raises for what a file holds. Files that
could not be read are reported by the reading itself; a rule that needs one of them stays silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from re import fullmatch

from prompt_hub.pipeline.columns import normalise
from prompt_hub.prompts.contracts import properties
from prompt_hub.prompts.documents import Problem, closest
from prompt_hub.prompts.hashing import sha256_of
from prompt_hub.prompts.json_places import Location
from prompt_hub.prompts.models import TASK_PATTERN, VERSION_PATTERN
from prompt_hub.prompts.repository import (
    ARCHIVE,
    BOT_LAYERS,
    EVALS,
    EXAMPLES,
    HUMAN_LAYERS,
    METADATA,
    PRODUCTION,
    REGISTRY,
    REVIEWS,
    TEMPLATES,
    PromptRepository,
    examples_sha256,
    path_inside,
)
from prompt_hub.validate import (
    example_rules,
    prompt_rules,
    released_rules,
    scorer_rules,
    secrets,
)
from prompt_hub.validate.rule import TASK_RULES, TREE_RULES, task_rule, tree_rule
from prompt_hub.validate.tree import Finding, TaskFiles, Tree, read_tree

REGISTERED = (example_rules, prompt_rules, released_rules, scorer_rules)
"""Modules that put their rules into the tables when they are imported."""


def check(
    repository: PromptRepository,
    task: str | None = None,
    *,
    proposed: Mapping[str, str] | None = None,
) -> tuple[Tree, list[Finding]]:
    """Every finding in the repository, or those about `task`, in the order of files and lines.

    `proposed` are texts of files that are looked at as if they lay in the repository already.
    Nothing that looks like a key is repeated in a finding.
    """
    tree = read_tree(repository, proposed)
    findings = list(tree.unreadable)
    for whole in TREE_RULES:
        findings += (Finding(_of(whole.id, problem)) for problem in whole.check(tree))
    for files in tree.tasks.values():
        for rule in TASK_RULES:
            found = rule.check(files)
            findings += (Finding(_of(rule.id, problem), files.task) for problem in found)
    if task is not None:
        findings = [finding for finding in findings if tree.touches(task, finding)]
    unique = dict.fromkeys(replace(it, problem=_redacted(it.problem)) for it in findings)
    return tree, sorted(unique, key=_place)


def _of(rule: str, problem: Problem) -> Problem:
    return problem if problem.rule else replace(problem, rule=rule)


def _redacted(problem: Problem) -> Problem:
    return replace(
        problem,
        field=secrets.redacted(problem.field),
        found=secrets.redacted(problem.found),
        expected=secrets.redacted(problem.expected),
        suggestion=secrets.redacted(problem.suggestion),
    )


def _place(finding: Finding) -> tuple[str, int, int, str]:
    problem = finding.problem
    return problem.file, problem.line, problem.column, finding.rule


# --- The tree ----------------------------------------------------------------------------------


@tree_rule("secret")
def _no_secrets(tree: Tree) -> Iterator[Problem]:
    """No file holds anything that looks like a key.

    Revoke the key, and take it out of git's history too.
    """
    for file, text in tree.texts.items():
        for line, column, name in secrets.find(text):
            expected = "no key in the repository: revoke it, and take it out of git's history too"
            yield Problem(file, line, column, "", f"what looks like {name}", expected)


_ENDINGS = {
    TEMPLATES: set[str](),
    EXAMPLES: {".jsonl", ".yaml"},
    PRODUCTION: {".yaml"},
    METADATA: {".yaml"},
    EVALS: {".json", ".jsonl"},
    ARCHIVE: {".yaml"},
}
"""The endings of a layer's files; templates and their building blocks may have any."""


@tree_rule("file-name")
def _names_are_tasks(tree: Tree) -> Iterator[Problem]:
    """Files lie where their layer looks for them, named after a task.

    Rename or move the file as it is expected, or delete it: nothing ever reads it there.
    """
    for found_path in sorted(tree.repository.root.glob("prompt_registry*")):
        if found_path.name != REGISTRY:
            yield Problem(found_path.name, 1, 1, "", "a second registry", f"{REGISTRY} alone")
    named = frozenset().union(*(files.named for files in tree.tasks.values()))
    all_known = all(files.metadata for files in tree.tasks.values())
    for file in tree.files:
        path = PurePosixPath(file)
        if path.parts[0] != "prompts" or path.name == "README.md":
            continue
        yield from _misnamed(file, path)
        beside_examples = path.parts[1] == EXAMPLES and path.suffix == ".yaml"
        if beside_examples and all_known and file not in named:
            found = "a prompt beside the examples that no metadata names"
            yield Problem(file, 1, 1, "", found, "a candidate, or drafts in 00-templates")


def _misnamed(file: str, path: PurePosixPath) -> Iterator[Problem]:
    layers = (*HUMAN_LAYERS, *BOT_LAYERS)
    layer = path.parts[1]
    if layer not in layers or len(path.parts) == 2:
        found = f"{layer!r}, which is no layer of prompts/"
        expected, meant = f"one of: {', '.join(sorted(layers))}", closest(layer, layers)
        yield Problem(file, 1, 1, "", found, expected, suggestion=meant)
        return
    if layer == TEMPLATES:
        return
    nested = layer in {EVALS, ARCHIVE}
    task = path.parts[2] if nested else path.stem
    review = layer == EVALS and len(path.parts) == 5 and path.parts[3] == REVIEWS
    if len(path.parts) != (5 if review else 4 if nested else 3):
        shape = f"prompts/{layer}/TASK/VERSION" if nested else f"prompts/{layer}/TASK"
        yield Problem(file, 1, 1, "", "a file in this folder", f"{shape}{path.suffix}")
    elif path.suffix not in _ENDINGS[layer]:
        endings = " or ".join(sorted(_ENDINGS[layer]))
        meant = closest(path.suffix, _ENDINGS[layer])
        found = f"the ending {path.suffix!r}"
        yield Problem(file, 1, 1, "", found, endings, suggestion=meant)
    elif not fullmatch(TASK_PATTERN, task):
        expected = "lower-case words joined by hyphens"
        yield Problem(file, 1, 1, "", f"the task name {task!r}", expected)
    elif layer == ARCHIVE and not fullmatch(VERSION_PATTERN, path.stem):
        yield Problem(file, 1, 1, "", f"the version {path.stem!r}", "a version such as 1.2.0")


# --- Metadata ----------------------------------------------------------------------------------


@task_rule("live")
def _complete(files: TaskFiles) -> Iterator[Problem]:
    """A task has metadata and examples.

    Add the file that is named, or remove what is left of the task.
    """
    for layer, ending in ((METADATA, "yaml"), (EXAMPLES, "jsonl")):
        if layer not in files.layers:
            missing = f"prompts/{layer}/{files.task}.{ending}"
            what = "metadata" if layer == METADATA else "examples"
            others = ", ".join(sorted(files.layers)) or "the registry"
            found = f"no {what}, though {others} has {files.task!r}"
            yield Problem(missing, 1, 1, "", found, "this file: both make a task live")


@task_rule("metadata-task")
def _metadata_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the task that its file is named after.

    Let `task` say what the file is called.
    """
    if files.metadata and files.metadata.content.task != files.task:
        found = repr(files.metadata.content.task)
        expected = f"{files.task!r}, as the file is called"
        yield files.metadata.problem(("task",), found, expected)


@task_rule("candidate")
def _candidate_is_there(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names a candidate that is a YAML file below `prompts/`.

    Correct the path, which is relative to `prompts/`.
    """
    if files.metadata is not None:
        yield from _names_a_prompt(files, ("candidate",), files.metadata.content.candidate)


def _names_a_prompt(files: TaskFiles, location: Location, name: str) -> Iterator[Problem]:
    assert files.metadata is not None
    path = path_inside(files.prompts, name)
    found = meant = ""
    if path is None:
        found = f"{name!r}, outside prompts/"
    elif f"prompts/{name}" not in files.texts and not path.is_file():
        found = f"{name!r}, which does not exist"
        there = (it.relative_to(files.prompts) for it in files.prompts.glob("0[01]-*/*.yaml"))
        meant = closest(name, (it.as_posix() for it in there))
    elif path.suffix != ".yaml":
        found = f"{name!r}, no YAML file"
    if found:
        expected = f"a file below prompts/ such as '00-templates/{files.task}.yaml'"
        yield files.metadata.problem(location, found, expected, suggestion=meant)


@task_rule("candidate-task")
def _candidate_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """The candidate is a prompt of this task.

    Let `task` in the candidate say the metadata's task, or name another candidate.
    """
    if files.candidate and files.candidate.content.task != files.task:
        found = repr(files.candidate.content.task)
        yield files.candidate.problem(("task",), found, repr(files.task))


@task_rule("candidate-lock")
def _candidate_is_unlocked(files: TaskFiles) -> Iterator[Problem]:
    """A candidate has no lock: promotion writes it.

    Delete `lock`.
    """
    if files.candidate and files.candidate.content.lock is not None:
        yield files.candidate.key_problem(("lock",), "a lock", "none: promotion writes it")


@task_rule("candidate-version")
def _versions_agree(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the candidate's version.

    Let the metadata's `version` say the candidate's.
    """
    if files.metadata and files.candidate:
        named, is_ = files.metadata.content.version, files.candidate.content.version
        if named != is_:
            expected = f"{is_}, the version of {files.metadata.content.candidate}"
            yield files.metadata.problem(("version",), named, expected)


@task_rule("up-to-date")
def _up_to_date(files: TaskFiles) -> Iterator[Problem]:
    """Metadata was stamped for these examples and this input and output.

    Look the metadata over, then run `prompt-hub validate --stamp TASK`.
    """
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
                f" 'prompt-hub validate --stamp {files.task}'",
            )


@task_rule("score-watch")
def _watch_can_fire(files: TaskFiles) -> Iterator[Problem]:
    """The score alarm needs no more bad samples than it looks at.

    Lower `datapoints_to_alarm`, or raise `evaluation_periods`.
    """
    if files.metadata:
        watch = files.metadata.content.score_watch
        if watch.datapoints_to_alarm > watch.evaluation_periods:
            yield files.metadata.problem(
                ("score_watch", "datapoints_to_alarm"),
                str(watch.datapoints_to_alarm),
                f"at most evaluation_periods, {watch.evaluation_periods}",
            )


@task_rule("records")
def _columns_fit(files: TaskFiles) -> Iterator[Problem]:
    """Record columns belong to properties of the input, each name to one of them.

    Name properties of the input, and let a column belong to one of them.
    """
    if not (files.metadata and files.candidate):
        return
    inputs = properties(files.candidate.content.input)
    claimed: dict[str, str] = {}
    for field, columns in files.metadata.content.records.columns.items():
        here = ("records", "columns", field)
        if field not in inputs:
            expected = f"a property of the input: {', '.join(inputs) or 'it has none'}"
            meant = closest(field, inputs)
            yield files.metadata.key_problem(here, repr(field), expected, suggestion=meant)
        for index, column in enumerate(columns):
            other = claimed.setdefault(normalise(column), field)
            if other != field:
                found = f"{column!r}, which {other!r} claims too"
                yield files.metadata.problem((*here, index), found, "one field for a column")
