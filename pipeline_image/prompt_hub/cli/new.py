"""`prompt-hub new`: makes a working task: from field names, from another task, from promptfoo."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.authoring import task_files
from prompt_hub.authoring.copying import copied
from prompt_hub.authoring.starter import DEFAULT_INPUT, DEFAULT_OUTPUT, parse_fields, starter
from prompt_hub.authoring.task_files import NewTask
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.reader import PromptRepository

if TYPE_CHECKING:
    from prompt_hub.authoring.promptfoo.importing import Imported
    from prompt_hub.authoring.promptfoo.notes import Note
    from prompt_hub.authoring.promptfoo.providers import ImportedModel

DEFAULT_ALIAS = "catalogue-pinned"
DEFAULT_OWNER = "your-team"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="name of the new task: lower-case words joined by hyphens")
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--from", dest="source", metavar="TASK", help="copy this task's shape")
    origin.add_argument(
        "--from-promptfoo", type=Path, metavar="FILE", help="import a promptfoo configuration"
    )
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
    parser.add_argument("--description", help="what the task does, in one sentence")
    parser.add_argument("--owner", help=f"who answers for the task; {DEFAULT_OWNER} by default")
    parser.add_argument("--model", metavar="ALIAS", help="the model alias that the prompt asks for")
    parser.add_argument(
        "--prompt",
        type=int,
        metavar="N",
        help="with --from-promptfoo: which of the configuration's prompts to take, from 1",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Make the task."""
    repository = PromptRepository.from_environment()
    task: str = arguments.task
    _refuse_unused_options(arguments)
    task_files.refuse_a_taken_name(repository, task)
    notes: tuple[Note, ...] = ()
    if arguments.source:
        files = copied(repository, arguments.source, task)
        steps = [f"change {task_files.template_path(task)} and the examples to what {task} is for"]
    elif arguments.from_promptfoo:
        fresh = _import(arguments, repository)
        files, notes = fresh.task.files(), fresh.notes
        steps = [_about_the_alias(fresh.model), "go through the lists above"]
    else:
        files = _starter(arguments, repository).files()
        steps = [
            f"replace the examples in {task_files.examples_path(task)} by yours; until then nothing"
            " of it is released",
            f"read the prompt, {task_files.template_path(task)}, and say what it lacks",
        ]
    if not arguments.json:
        _tell_notes(notes)
    task_files.write(repository, task, files)
    steps += [
        f"after a change of examples or fields: prompt-hub validate --stamp {task}",
        f"try it: prompt-hub evaluate {task}",
        "commit, and push: the pipeline evaluates, promotes and deploys it",
    ]
    if arguments.json:
        listed = [
            {"file": note.place[0], "line": note.place[1], "lost": note.lost, "said": str(note)}
            for note in notes
        ]
        result = {"task": task, "files": sorted(files), "notes": listed, "next": steps}
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        _report(task, files, steps)
    return ExitCode.OK


def _tell_notes(notes: Sequence[Note]) -> None:
    for heading, lost in (("Not carried over:", True), ("Carried over in another form:", False)):
        message = [note for note in notes if note.lost is lost]
        if message:
            print(heading)
            for note in message:
                print(f"  {note}")


def _report(task: str, files: Iterable[str], steps: Sequence[str]) -> None:
    print(f"{task} is a task now:")
    for path in sorted(files):
        print(f"  written  {path}")
    print("Next:")
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}")


_ONLY_WITH = {
    "source": ("input", "output", "description", "owner", "model", "prompt"),
    "from_promptfoo": ("input", "output"),
    "": ("prompt",),
}
"""Options that mean nothing with each origin; without one a task is made from field names."""


def _refuse_unused_options(arguments: argparse.Namespace) -> None:
    origin = next((name for name in ("source", "from_promptfoo") if getattr(arguments, name)), "")
    for name in _ONLY_WITH[origin]:
        if getattr(arguments, name) is not None:
            given = {"source": "--from", "from_promptfoo": "--from-promptfoo"}.get(origin, "")
            how = f"together with {given}" if given else "without --from-promptfoo"
            raise PromptHubError(f"--{name} means nothing {how}.", hint="Leave it out.")


def _alias(repository: PromptRepository) -> str:
    """Return the alias that the repository's first task uses: most likely it is configured."""
    for task in repository.tasks():
        return repository.draft(task).model.alias
    return DEFAULT_ALIAS


def _starter(arguments: argparse.Namespace, repository: PromptRepository) -> NewTask:
    outputs = parse_fields(arguments.output or DEFAULT_OUTPUT, "--output")
    wanted = ", ".join(field.name for field in outputs)
    return starter(
        arguments.task,
        parse_fields(arguments.input or DEFAULT_INPUT, "--input"),
        outputs,
        owner=arguments.owner or DEFAULT_OWNER,
        description=arguments.description or f"Find {wanted} in a catalogue record.",
        alias=arguments.model or _alias(repository),
    )


def _import(arguments: argparse.Namespace, repository: PromptRepository) -> Imported:
    # The importer is large; making a task from field names does not pay for it.
    from prompt_hub.authoring.promptfoo.importing import imported

    config: Path = arguments.from_promptfoo
    if not config.is_file():
        raise PromptHubError(f"there is no file {config}.", hint="Name a promptfooconfig.yaml.")
    return imported(
        config,
        arguments.task,
        prompt=arguments.prompt,
        owner=arguments.owner or DEFAULT_OWNER,
        description=arguments.description,
        alias=arguments.model,
        default_alias=_alias(repository),
    )


def _about_the_alias(model: ImportedModel) -> str:
    meaning = json.dumps({model.alias: model.setting or {"provider": "openai", "model": "…"}})
    return f"configure the model alias in {aws_names.ENV_MODELS} (and cdk.json): {meaning}"
