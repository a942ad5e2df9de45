"""`prompt-hub new`: makes a working task: from field names, or from another task."""

from __future__ import annotations

import argparse

from prompt_hub.authoring import task_files
from prompt_hub.authoring.copying import copied
from prompt_hub.authoring.starter import DEFAULT_INPUT, DEFAULT_OUTPUT, parse_fields, starter
from prompt_hub.authoring.task_files import NewTask
from prompt_hub.cli import new_task
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.reader import PromptRepository


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="name of the new task: lower-case words joined by hyphens")
    parser.add_argument("--from", dest="source", metavar="TASK", help="copy this task's shape")
    parser.add_argument(
        "--input",
        metavar="FIELDS",
        help=f"fields of a record: name, name? (may be missing), name:number; {DEFAULT_INPUT}",
    )
    parser.add_argument(
        "--output",
        metavar="FIELDS",
        help=f"fields of the answer: name, name:number, name:a|b|c; {DEFAULT_OUTPUT}",
    )
    new_task.add_description(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Make the task."""
    repository = PromptRepository.from_environment()
    task: str = arguments.task
    _refuse_unused_options(arguments)
    task_files.refuse_a_taken_name(repository, task)
    if arguments.source:
        files = copied(repository, arguments.source, task)
        steps = [f"change {task_files.template_path(task)} and the examples to what {task} is for"]
    else:
        files = _starter(arguments, repository).files()
        steps = [
            f"replace the examples in {task_files.examples_path(task)} by yours; until then nothing"
            " of it is released",
            f"read the prompt, {task_files.template_path(task)}, and say what it lacks",
        ]
    task_files.write(repository, task, files)
    new_task.tell(task, files, steps, as_json=arguments.json, more={})
    return ExitCode.OK


def _refuse_unused_options(arguments: argparse.Namespace) -> None:
    for name in ("input", "output", "description", "owner", "model") if arguments.source else ():
        if getattr(arguments, name) is not None:
            raise PromptHubError(
                f"--{name} means nothing together with --from.", hint="Leave it out."
            )


def _starter(arguments: argparse.Namespace, repository: PromptRepository) -> NewTask:
    outputs = parse_fields(arguments.output or DEFAULT_OUTPUT, "--output")
    wanted = ", ".join(field.name for field in outputs)
    return starter(
        arguments.task,
        parse_fields(arguments.input or DEFAULT_INPUT, "--input"),
        outputs,
        owner=arguments.owner or new_task.DEFAULT_OWNER,
        description=arguments.description or f"Find {wanted} in a catalogue record.",
        alias=arguments.model or new_task.usual_alias(repository),
    )
