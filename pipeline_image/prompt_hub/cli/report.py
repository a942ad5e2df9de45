"""`prompt-hub report`: pages and summaries of evaluations, of all prompts, and of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal, assert_never

from prompt_hub.cli.stage import ledger_of, stage_name, translate_aws_errors
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.core.json_strict import strict_json
from prompt_hub.evaluation.results import execution_from_environment, results_from_environment
from prompt_hub.evaluation.store import logged_evaluation, read_evaluation
from prompt_hub.reporting.catalogue import CatalogueTask, read_catalogue, with_stage
from prompt_hub.reporting.catalogue_page import catalogue_page
from prompt_hub.reporting.changelog import changelog
from prompt_hub.reporting.evaluation import Watched, read_view
from prompt_hub.reporting.formats import report_formats
from prompt_hub.reporting.links import links_of
from prompt_hub.reporting.pages import evaluation_file
from prompt_hub.reporting.pull_request import evaluated, pull_request_summary
from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import run_page
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.documents import Document, to_model
from prompt_hub.repository.reader import PromptRepository

MEASUREMENTS = 500
"""Measurements of a score watch that are shown, the newest ones."""
_Kind = Literal["run", "evaluation", "catalogue", "changelog", "pull-request"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = parser.add_subparsers(dest="kind", required=True)

    evaluation = kinds.add_parser(
        "evaluation", help="one evaluation; its Markdown summary is printed if no file is named"
    )
    evaluation.add_argument("task")
    evaluation.add_argument(
        "version", nargs="?", help="the newest by default: evaluated here, or logged in 04-evals"
    )
    evaluation.add_argument(
        "--record", type=Path, metavar="FILE.json", help="this record, its details beside it"
    )
    evaluation.add_argument(
        "--stage",
        type=stage_name,
        help="a stage; what its score watch has measured is shown, too",
    )
    for name, form in report_formats().items():
        evaluation.add_argument(f"--{name}", type=Path, metavar="FILE", help=form.HELP)

    catalogue = kinds.add_parser("catalogue", help="a page of all prompts and their versions")
    catalogue.add_argument("--html", type=Path, metavar="FILE", required=True)
    catalogue.add_argument(
        "--stage", type=stage_name, help="add what the ledger of this stage serves now"
    )
    catalogue.add_argument(
        "--pages",
        action="store_true",
        help="the page of every evaluation in 04-evals beside it, all of them linked",
    )

    changes = kinds.add_parser("changelog", help="what changed in every prompt, as Markdown")
    changes.add_argument(
        "--markdown", type=Path, metavar="FILE", help="printed if no file is named"
    )

    pull = kinds.add_parser(
        "pull-request", help="everything that this execution evaluated, as a pull request's comment"
    )
    pull.add_argument("--markdown", type=Path, metavar="FILE", help="printed if no file is named")
    pull.add_argument(
        "--broken-off", action="store_true", help="say that the evaluation did not come to its end"
    )

    run_ = kinds.add_parser("run", help="the page of one run of the whole lifecycle")
    run_.add_argument("run", type=Path, metavar="RUN.json", help="what happened, as JSON")
    run_.add_argument(
        "--html", type=Path, metavar="FILE", help="the page; beside RUN.json by default"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the files that were asked for, each whole or not at all."""
    kind: _Kind = arguments.kind
    match kind:
        case "run":
            source: Path = arguments.run
            _write(arguments.html or source.with_suffix(".html"), run_page(read_run(source)))
        case "evaluation":
            _evaluation(arguments, evaluations_from_environment())
        case "catalogue":
            _catalogue(
                evaluations_from_environment(),
                arguments.html,
                pages=arguments.pages,
                stage=arguments.stage,
            )
        case "changelog":
            text = changelog(read_catalogue(evaluations_from_environment()))
            _write_or_print(arguments.markdown, text)
        case "pull-request":
            views = evaluated(evaluations_from_environment())
            _write_or_print(
                arguments.markdown, pull_request_summary(views, broken_off=arguments.broken_off)
            )
        case _:
            assert_never(kind)
    return ExitCode.OK


@translate_aws_errors()
def _with_stage(tasks: Sequence[CatalogueTask], stage: str) -> tuple[CatalogueTask, ...]:
    ledger = ledger_of(stage)
    return with_stage(tasks, stage, ledger.every_pointer())


def evaluations_from_environment() -> Evaluations:
    """Return the evaluations of this repository, those of this execution or machine included."""
    repository = PromptRepository.from_environment()
    return Evaluations(
        repository, results_from_environment(repository.root), execution_from_environment()
    )


def _evaluation(arguments: argparse.Namespace, evaluations: Evaluations) -> None:
    task: str = arguments.task
    path: Path | None = arguments.record
    if path and not path.is_file():
        raise PromptHubError(f"there is no record {path}.", hint="Name an evaluation's JSON file.")
    found = read_evaluation(path) if path else evaluations.find(task, arguments.version)
    about = (found.record.task, arguments.version and found.record.version)
    if about != (task, arguments.version):
        raise PromptHubError(
            f"{found.name} is about {found.record.task} {found.record.version}.",
            hint="Name that task and version, or another record.",
        )
    links = links_of(evaluations.repository.root, found.record)
    watched = _watched(arguments.stage, task) if arguments.stage else ()
    view = read_view(evaluations, found, links=links, watched=watched)
    forms = report_formats()
    if found.large is not None and arguments.junit:
        raise PromptHubError(
            f"{found.name}: {found.large.count:,} answers are too many for a JUnit file.",
            hint=f"The page and the summary leave them out; they lie at {found.large.uri}.",
        )
    wanted: dict[str, Path] = {name: path for name in forms if (path := getattr(arguments, name))}
    for name, target in wanted.items():
        _write(target, forms[name].render(view))
    if not wanted:
        print(forms["markdown"].render(view), end="")


def _watched(stage: str, task: str) -> tuple[Watched, ...]:
    """Return what the score watch of a stage measured of a task, oldest first."""
    with translate_aws_errors():
        samples = ledger_of(stage).samples(task, MEASUREMENTS)
    shown = (
        Watched(one.version, one.score, one.threshold, datetime.fromisoformat(one.at))
        for one in samples
    )
    return tuple(sorted(shown, key=lambda one: one.at))


def _catalogue(evaluations: Evaluations, target: Path, *, pages: bool, stage: str | None) -> None:
    """Write the catalogue; with `pages` every kept evaluation's page, each linked to the others."""
    repository, tasks = evaluations.repository, read_catalogue(evaluations)
    if stage:
        tasks = _with_stage(tasks, stage)
    _write(target, catalogue_page(tasks, linked=pages))
    for task in tasks if pages else ():
        files = {
            one.version: evaluation_file(task.name, one.version)
            for one in task.versions
            if one.evaluated
        }
        for version, file in files.items():
            found = logged_evaluation(repository, task.name, version)
            if found is not None:
                links = replace(
                    links_of(repository.root, found.record), catalogue=target.name, pages=files
                )
                view = read_view(evaluations, found, links=links)
                _write(target.with_name(file), report_formats()["html"].render(view))


def read_run(source: Path) -> RunReport:
    """Read a run; raises `PromptHubError` if there is no such file or it is not one."""
    try:
        data = strict_json(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise PromptHubError(f"{source} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise PromptHubError(f"{source} is not JSON: {error}.") from None
    return to_model(Document(str(source), data), RunReport)


def _write(target: Path, text: str) -> None:
    page = text.encode("utf-8")
    with explain_write_errors(target), atomic_write(target) as stream:
        stream.write(page)
    print(f"{target}: {len(page) / 1000:.0f} kB")


def _write_or_print(target: Path | None, text: str) -> None:
    if target is None:
        print(text, end="")
    else:
        _write(target, text)
