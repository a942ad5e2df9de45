"""`prompt-hub import`: makes a task of what another tool exported, and lists what it left out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.authoring import task_files
from prompt_hub.cli import new_task
from prompt_hub.cli.options import positive
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject
from prompt_hub.validation.check import configured_aliases

if TYPE_CHECKING:
    from prompt_hub.authoring.importing.form import ImportedModel
    from prompt_hub.authoring.importing.notes import Note

FORMATS = (
    *("openai-prompt", "openai-eval", "langfuse", "mlflow", "prompty", "dotprompt", "promptfoo"),
    "rows",
)
"""The formats by name: those of `authoring.importing.files`, which is imported only to be run."""
_ABOUT = """\
Reads files and makes a task of them; nothing of them is run, and nothing is fetched. Name the files
that belong together: one prompt, and for labelled examples an eval and its rows.

  prompt-hub import TASK prompt.json                       a stored prompt of OpenAI
  prompt-hub import TASK prompt.json eval.json rows.jsonl  with its hosted eval and data
  prompt-hub import TASK run.json eval.json                a run that holds prompt and rows
  prompt-hub import TASK prompt.json rows.jsonl            of Langfuse or MLflow, with rows
  prompt-hub import TASK chat.prompty                      Prompty, version 1 or 2
  prompt-hub import TASK greet.prompt                      dotprompt
  prompt-hub import TASK promptfooconfig.yaml              promptfoo, with its tests

Rows are OpenAI's ({"item": {…}}) or {"input": {…}, "expected": {…}}. Whatever is not carried over
is listed with file, line and what to do. docs/coming-from-elsewhere.md walks through each move.
"""

_KEY = (
    '; add its key, which only a local model goes without: "api_key_env": "OPENAI_API_KEY" on'
    ' your machine, "secret" in cdk.json (docs/model-calls.md#the-key-of-a-provider)'
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _ABOUT
    parser.add_argument("task", help="name of the new task: lower-case words joined by hyphens")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an exported file")
    parser.add_argument(
        "--from",
        dest="format",
        choices=FORMATS,
        help="what the first file is; by default its name or its content tells",
    )
    parser.add_argument(
        "--prompt",
        type=positive,
        metavar="N",
        help="which of several prompts in a file to take, from 1; the first by default",
    )
    new_task.add_description(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Make the task."""
    # The importers are large; whoever asks for help does not pay for them.
    from prompt_hub.authoring.importing.files import imported
    from prompt_hub.authoring.importing.form import Choices

    repository = PromptRepository.from_environment()
    task: str = arguments.task
    task_files.refuse_a_taken_name(repository, task)
    choices = Choices(
        task=task,
        owner=arguments.owner or new_task.DEFAULT_OWNER,
        default_alias=new_task.usual_alias(repository),
        description=arguments.description,
        alias=arguments.model,
        prompt=arguments.prompt,
    )
    fresh = imported(arguments.files, choices, arguments.format)
    files = fresh.task.files()
    if not arguments.json:
        _tell_notes(fresh.notes)
    task_files.write(repository, task, files)
    notes = [
        {"file": note.place[0], "line": note.place[1], "lost": note.lost, "said": str(note)}
        for note in fresh.notes
    ]
    known = configured_aliases(repository.root) or frozenset()
    first = [_about_the_alias(fresh.model, known), "go through the lists above"]
    new_task.tell(task, files, first, as_json=arguments.json, more={"notes": notes})
    return ExitCode.OK


def _tell_notes(notes: Sequence[Note]) -> None:
    for heading, lost in (("Not carried over:", True), ("Carried over in another form:", False)):
        chosen = [note for note in notes if note.lost is lost]
        if chosen:
            print(heading)
            for note in chosen:
                print(f"  {note}")


def _about_the_alias(model: ImportedModel, known: frozenset[str]) -> str:
    if model.alias in known:
        # Other tasks ask it: another meaning would be another model for all of them.
        asked = (model.setting or {}).get("model")
        was = f"; what was imported asked for {asked}" if asked else ""
        return f"the model alias {model.alias} is configured already: nothing is to be done{was}"
    setting: JsonObject = {"provider": "openai", "model": "…", **(model.setting or {})}
    meaning = json.dumps({model.alias: setting}, ensure_ascii=False)
    takes_key = "api_key_env" in provider_of(str(setting["provider"])).optional_keys
    key = _KEY if takes_key else ""
    return f"configure the model alias in {aws_names.ENV_MODELS} (and cdk.json): {meaning}{key}"
