"""Our side: `prompt-hub import`, `validate` and `evaluate`, one fork a configuration.

`python -m benchmarks.parity_promptfoo.product` reads one JSON line a configuration and answers with
one. The commands run through the product's own entry point, in a fork that ends with them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.eval.measuring import ROOT, MeasurementError, bare_environment
from prompt_hub.cli.main import main as prompt_hub
from prompt_hub.core import aws_names
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.evaluation.results import LOCAL_EXECUTION, RESULTS_DIR, FolderResults
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.repository.reader import PromptRepository

_TASK = "t"
_ALIAS = "scripted"
_PRELOADED = (
    "prompt_hub.authoring.promptfoo.importing",
    "prompt_hub.cli.evaluate",
    "prompt_hub.cli.new",
    "prompt_hub.cli.validate",
    "prompt_hub.llm.providers._chat_completions",
    "prompt_hub.llm.providers.openai",
)
_MARK = "\x01parity "


class Job(BaseModel):
    """A configuration to run, the repository to make its task in, and the model's URL."""

    model_config = ConfigDict(frozen=True)

    config: Path
    repository: Path
    url: str


class OwnTest(BaseModel):
    """One example after its evaluation; `score` is None where no answer came."""

    model_config = ConfigDict(frozen=True)

    id: str
    key: str
    call: int
    score: float | None
    reason: str


class OwnNote(BaseModel):
    """One line of the importer's lists."""

    model_config = ConfigDict(frozen=True)

    lost: bool
    said: str


class OwnRun(BaseModel):
    """What our commands said; `stage` is the command that ended otherwise than well, if any."""

    model_config = ConfigDict(frozen=True)

    stage: str = ""
    exit_code: int = 0
    printed: str = ""
    notes: tuple[OwnNote, ...] = ()
    tests: tuple[OwnTest, ...] = ()


def run(jobs: Sequence[Job], home: Path) -> list[OwnRun]:
    """Run every job in one process of its own, in order.

    Raises:
        MeasurementError: the process ended before all jobs.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parity_promptfoo.product"],
        input="".join(job.model_dump_json() + "\n" for job in jobs),
        env=bare_environment(home, {"PYTHONPATH": f"{ROOT / 'pipeline_image'}:{ROOT}"}),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stdout.split("\n") if line.startswith(_MARK)]
    if len(said) != len(jobs):
        raise MeasurementError(f"our side ended after {len(said)} runs:\n{done.stderr[-2000:]}")
    return [OwnRun.model_validate_json(line.removeprefix(_MARK)) for line in said]


def _command(*words: str) -> tuple[int, str, str]:
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = prompt_hub(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), error.getvalue()


def _of(job: Job) -> OwnRun:
    (job.repository / "prompts").mkdir(parents=True)
    os.environ[aws_names.ENV_ROOT] = str(job.repository)
    model = {"provider": "openai", "model": "scripted", "base_url": job.url}
    os.environ[aws_names.ENV_MODELS] = json.dumps({_ALIAS: model})
    os.environ["OPENAI_API_KEY"] = "none"
    os.chdir(job.config.parent)
    options = (job.config.name, "--model", _ALIAS, "--json")
    code, out, error = _command("import", _TASK, *options)
    if code != 0:
        return OwnRun(stage="import", exit_code=code, printed=error)
    notes = tuple(OwnNote.model_validate(note) for note in json.loads(out)["notes"])
    code, out, error = _command("validate", _TASK)
    if code != 0:
        return OwnRun(stage="validate", exit_code=code, printed=out + error, notes=notes)
    code, out, error = _command("evaluate", _TASK, "--record", "--concurrency", "1")
    results = evaluation_by(FolderResults(job.repository / RESULTS_DIR), LOCAL_EXECUTION, _TASK)
    if code != 0 or results is None:
        return OwnRun(stage="evaluate", exit_code=code, printed=out + error, notes=notes)
    tests = _tests(job.repository, results.details["candidate"])
    return OwnRun(printed=out, notes=notes, tests=(*tests,))


def _tests(repository: Path, details: Iterable[ExampleResult]) -> Iterable[OwnTest]:
    keys = {
        example.id: str(example.input.get("key", ""))
        for example in PromptRepository(repository).examples(_TASK)
    }
    for detail in details:
        losses = [part.loss for part in detail.parts if part.loss]
        yield OwnTest(
            id=detail.id,
            key=keys[detail.id],
            call=detail.usage.input_tokens if detail.usage else 0,
            score=detail.score,
            reason="; ".join([detail.error or "", detail.problem or "", *losses]).strip("; "),
        )


def main() -> int:
    """Answer every job on standard input."""
    for module in _PRELOADED:  # Before the forks, not in each of them.
        importlib.import_module(module)
    for line in sys.stdin:
        job = Job.model_validate_json(line)
        child = os.fork()
        if child == 0:
            try:
                found = _of(job)
            except BaseException as error:
                found = OwnRun(stage="harness", exit_code=70, printed=repr(error))
            os.write(1, f"{_MARK}{found.model_dump_json()}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
