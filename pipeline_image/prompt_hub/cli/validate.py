"""`prompt-hub validate`: everything that is wrong with the prompt repository, at once."""

from __future__ import annotations

import argparse
import gc
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.documents import Problem
from prompt_hub.repository.reader import METADATA, PromptRepository, no_task
from prompt_hub.validation.check import check
from prompt_hub.validation.folding import folded
from prompt_hub.validation.rules.reading import UNREACHABLE
from prompt_hub.validation.tree import Finding, Tree

_COLLECT_AFTER = 50_000
"""Objects more than before, after which rubbish is looked for: what one task's examples make."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", nargs="?", help="report only what concerns this task")
    parser.add_argument(
        "--tell",
        action="store_true",
        help="inside the pipeline: tell people at once of what is not valid;"
        f" {aws_names.ENV_TOPIC_ARN} names the topic",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--json", action="store_true", help="print the problems as a JSON list")
    instead.add_argument(
        "--github", action="store_true", help="print the problems as annotations for GitHub's CI"
    )
    instead.add_argument(
        "--rules", action="store_true", help="instead of validating, print all rules (Markdown)"
    )
    instead.add_argument(
        "--explain",
        metavar="RULE",
        help="instead of validating, say what a rule asks, and how to mend what breaks it",
    )
    instead.add_argument(
        "--write-schemas",
        action="store_true",
        help="instead of validating, write the JSON Schemas of all file formats for editors",
    )
    instead.add_argument(
        "--stamp",
        action="store_true",
        help="instead of validating, note that the task's metadata is up to date with its examples"
        " and its candidate's input and output",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Validate; BLOCKED where anything is wrong. A warning blocks nothing.

    NOT_MEASURED where all that is amiss is an example set in S3 that could not be read.
    """
    instead = _instead(arguments)
    if instead is not None:
        print(instead)
        return ExitCode.OK
    repository = PromptRepository.from_environment()
    # They are let go without looking: a search after each few hundred was a twentieth of the time.
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    tree, findings = check(repository, arguments.task, models=_models_here())
    if arguments.task and arguments.task not in tree.tasks:
        raise no_task(arguments.task, tree.tasks)
    if arguments.json:
        problems = [asdict(finding.problem) for finding in findings]
        print(json.dumps(problems, ensure_ascii=False, indent=2))
    else:
        annotations = (annotation(finding.problem) for finding in findings)
        for text in annotations if arguments.github else in_words(findings):
            print(text)
        print(summary(tree, findings, arguments.task))
    errors = [finding for finding in findings if finding.is_error]
    if arguments.tell and errors:
        _tell(repository, [*in_words(errors), summary(tree, findings, arguments.task)])
    if errors and all(finding.rule == UNREACHABLE for finding in errors):
        return ExitCode.NOT_MEASURED
    return ExitCode.BLOCKED if errors else ExitCode.OK


def _instead(arguments: argparse.Namespace) -> str | None:
    """Do what was asked for instead of validating, and return what it prints; None if nothing."""
    if arguments.rules:
        from prompt_hub.validation.rules_page import rules_page

        return rules_page().removesuffix("\n")
    if arguments.explain is not None:
        from prompt_hub.validation.rules_page import explained

        return explained(arguments.explain)
    if arguments.write_schemas:
        from prompt_hub.validation.schemas import write_schemas

        return "\n".join(write_schemas(PromptRepository.from_environment()))
    if arguments.stamp:
        from prompt_hub.validation.stamp import stamp

        if arguments.task is None:
            raise PromptHubError("--stamp needs a task.", hint="Name the one you looked over.")
        changed = stamp(PromptRepository.from_environment(), arguments.task)
        result = "stamped" if changed else "is up to date already"
        return f"prompts/{METADATA}/{arguments.task}.yaml: {result}"
    return None


def _tell(repository: PromptRepository, lines: Sequence[str]) -> None:
    from prompt_hub.cli.telling import tell
    from prompt_hub.core.git import head_commit

    execution = os.environ.get(aws_names.ENV_RELEASE, "?")
    head = (
        f"Execution {execution} of {aws_names.pipeline()} ends red: at commit"
        f" {head_commit(repository.root)[:12]} the prompts are not valid, and nothing is released."
    )
    tell("not valid", "\n".join([head, "", *lines]))


def _models_here() -> ModelAliases | None:
    """Read what aliases mean here; a setting that is missing or wrong is no fault of a prompt."""
    try:
        return ModelAliases.from_environment()
    except PromptHubError:
        return None


def in_words(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings as lines, those of a kind folded, then how to mend each rule's."""
    for finding, more in folded(findings):
        yield line(finding)
        if more:
            yield f"  and {len(more)} more like it, the last in line {more[-1].problem.line}"
    if findings:
        from prompt_hub.validation.rules_page import rule_texts

        texts = rule_texts()
        for rule in dict.fromkeys(finding.rule for finding in findings):
            if rule in texts:
                yield f"{rule}: {texts[rule][1]}"


def line(finding: Finding) -> str:
    """Return a finding as a line, with its rule at the end, and with what is only a warning."""
    mark = "" if finding.is_error else "warning: "
    return f"{finding.problem} [{mark}{finding.rule}]"


def annotation(problem: Problem) -> str:
    """Return a problem as the workflow command that GitHub shows beside the line."""
    where = {
        "file": problem.file,
        "line": str(problem.line),
        "col": str(problem.column),
        "title": problem.rule,
    }
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in where.items())
    place = f"{problem.file}:{problem.line}:{problem.column}: "
    return f"::{problem.severity} {properties}::{_escaped(str(problem).removeprefix(place))}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def summary(tree: Tree, findings: Sequence[Finding], task: str | None = None) -> str:
    """Return the last line, in words."""
    looked_at = f"task {task}" if task else count(len(tree.tasks), "task")
    looked_at += f", {count(len(tree.files), 'file')}"
    errors = [finding for finding in findings if finding.is_error]
    warnings = len(findings) - len(errors)
    result = "all valid"
    if errors:
        files = len({finding.problem.file for finding in errors})
        result = f"{count(len(errors), 'problem')} in {count(files, 'file')}"
    return f"{looked_at}: {result}" + (f", {count(warnings, 'warning')}" if warnings else "")
