"""`prompt-hub repair`: records that a bad version answered are made again by the restored one."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prompt_hub.batch.active_version import Restored, restored_version, stage_of_environment
from prompt_hub.batch.announcement import announce, tell_people
from prompt_hub.batch.backends import LocalBackend, VersionInfo
from prompt_hub.batch.bucket_objects import objects_from, stage_bucket
from prompt_hub.batch.forecast import Forecast, in_words, require_budget
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.local_run import RECORDS_DIR, local_runs
from prompt_hub.batch.merge import make_forms
from prompt_hub.batch.objects import Objects
from prompt_hub.batch.other_runs import OtherRuns
from prompt_hub.batch.output_summary import describe, summarise
from prompt_hub.batch.reading import settings_file
from prompt_hub.batch.repair import (
    ANSWERS,
    LineReader,
    correct,
    find_repair,
    finished_repairs,
    foresee,
    left_of,
    made_before,
    open_repairs,
    records_of,
    repair_folder,
    require_fields,
    survey_repair,
)
from prompt_hub.batch.repair_files import CHANGES, OUTPUT, OldOutput, Place, claim, old_output
from prompt_hub.batch.run_manifest import (
    MANIFEST,
    RepairOf,
    RunFacts,
    RunFile,
    RunManifest,
    Spent,
    VersionCount,
    runs_of,
    write_manifest,
)
from prompt_hub.batch.runner import BatchStats, Runner, known_example
from prompt_hub.batch.segments import Segments
from prompt_hub.cli.options import add_concurrency
from prompt_hub.cli.progress import Progress, say
from prompt_hub.cli.stage import stage_name, translate_aws_errors
from prompt_hub.core import aws_names, wording
from prompt_hub.core.concurrency import cancel_on_sigterm
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.reporting.repair_page import (
    RepairView,
    repair_json,
    repair_markdown,
    repair_page,
)
from prompt_hub.repository.reader import PromptRepository

WORK = Path(".prompt-hub") / "repairs"
"""Where repairs are made in a clone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    parser.add_argument(
        "--version", required=True, metavar="V", help="whose records are to be made again"
    )
    parser.add_argument("--run", metavar="RUN", help="this run only; all by default")
    parser.add_argument("--stage", type=stage_name, help="its active version answers, not git's")
    parser.add_argument(
        "--store",
        metavar="ADDRESS",
        help="where runs are: s3://BUCKET or a folder; by default the stage's bucket, without"
        f" one {RECORDS_DIR} of this clone",
    )
    add_concurrency(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what it would come to")
    how.add_argument("--yes", action="store_true", help="go ahead without asking")
    how.add_argument(
        "--after-rollback",
        action="store_true",
        help="go ahead if the task's records.repair says so, and tell the stage's people",
    )
    parser.add_argument("--json", action="store_true", help="print the summaries as JSON")


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Make records again; NOT_MEASURED if some got no answer, BLOCKED if some have an error.

    A corrected output appears beside the old one when every record is finished; until then the
    same command goes on where the last one ended.
    """
    repository = PromptRepository.from_environment()
    if not arguments.after_rollback:
        return asyncio.run(_run(arguments, repository, []))
    if repository.metadata(arguments.task).records.repair != "after_rollback":
        say(f"{arguments.task}: records.repair leaves this to people")
        return ExitCode.OK
    left_out: list[str] = []
    try:
        code = asyncio.run(_run(arguments, repository, left_out))
    except asyncio.CancelledError:
        return ExitCode.NOT_MEASURED
    except PromptHubError as error:
        # Trying again would not help: what has to be decided, people decide.
        if error.exit_code is not ExitCode.BLOCKED:
            raise
        say(str(error))
        left_out.append(str(error))
        code = ExitCode.BLOCKED
    if code is ExitCode.NOT_MEASURED:
        return code
    # Told by the last try alone: an outage is tried again for hours.
    for reason in left_out:
        tell_people(f"{arguments.task}: {arguments.version} not repaired", reason)
    # Records with an error are no failure: their lines say it.
    return ExitCode.OK


@dataclass(frozen=True)
class _Repair:
    """One run that is to be repaired."""

    old: OldOutput
    folder: Path
    """Where it is made, named as the run that it will be."""
    forecast: Spent


async def _run(
    arguments: argparse.Namespace, repository: PromptRepository, left_out: list[str]
) -> ExitCode:
    """Repair; why runs are left out is added to `left_out`."""
    task: str = arguments.task
    repository.require_task(task)
    if arguments.after_rollback:
        cancel_on_sigterm()
    restored = restored_version(repository, task, arguments.version, arguments.stage)
    objects = _store(arguments.store, arguments.stage) or local_runs(repository.root)
    timeout = repository.metadata(task).limits.seconds_per_call
    aliases = _models(arguments.stage)
    async with ModelClient(aliases, concurrency=arguments.concurrency) as client:
        repairer = _Repairer(
            objects=objects,
            repository=repository,
            bad=arguments.version,
            restored=restored,
            stage=arguments.stage or stage_of_environment(),
            announces=arguments.after_rollback,
            work=_work(arguments, repository),
            backend=LocalBackend(restored.prompt, client, timeout=timeout),
            client=client,
            left_out=left_out,
        )
        if arguments.after_rollback:
            repairer.announce_finished()
        repairs = repairer.plan(arguments.run)
        sure = arguments.yes or arguments.after_rollback
        if not repairs or arguments.dry_run or not _agreed(len(repairs), sure=sure):
            repairs = []
        summaries = [await repairer.repair(each) for each in repairs]
    if arguments.json:
        print(json.dumps([repair_json(view) for view in summaries if view], indent=2))
    elif not arguments.after_rollback:
        # It has answers, which no log has: after a rollback it lies beside the output alone.
        print("\n".join(repair_markdown(view) for view in summaries if view), end="")
    return repairer.code


@dataclass
class _Repairer:
    """Repairs runs, one after the other."""

    objects: Objects
    repository: PromptRepository
    bad: str
    restored: Restored
    stage: str | None
    """The stage whose active version answers."""
    work: Path
    """Where repairs are made before they are put in their places: a folder each."""
    announces: bool
    """Whether it is a container's: programs and people of the stage hear of each repair, and a log
    keeps what is said."""
    backend: LocalBackend
    client: ModelClient
    left_out: list[str]
    """Why runs are not repaired."""
    code: ExitCode = ExitCode.OK
    """The worst that happened so far."""

    @property
    def by(self) -> VersionInfo:
        """The version that answers."""
        return self.backend.answered_by

    def announce_finished(self) -> None:
        """Announce repairs that an earlier try has finished, and could not announce any more."""
        finished = finished_repairs(self.objects, self.by.task, self.bad, self.by)
        with tempfile.TemporaryDirectory() as folder:
            for manifest in finished.values():
                announce(self.objects, manifest, Path(folder))

    def plan(self, run: str | None) -> list[_Repair]:
        """Say what each repair would come to; where one run is named, raises what stops it."""
        task, prompt = self.by.task, self.restored.prompt
        bad, model = self.repository.version(task, self.bad), self.client.resolve(prompt)
        by = f"{task} {self.by.version} ({self.by.sha256[:12]})"
        say(f"{by}, {self.restored.source}, asks {model.identity}")
        budget = self.repository.metadata(task).records.budget
        repairs = []
        for manifest in self._runs(run):
            folder = repair_folder(self.objects, self.work, manifest, self.bad, self.by)
            try:
                old = old_output(self.objects, manifest, folder)
            except PromptHubError as error:
                if run is not None:
                    raise
                self._leave_out(error)
                continue
            found = survey_repair(old.path, self.bad)
            guess = partial(Forecast, self.repository, prompt, model)
            expected = foresee(found, manifest, bad, prompt, on=model, by_evaluation=guess)
            at = wording.minute(manifest.started)
            what = f"run {manifest.run[:12]} of {at}, {old.output.uri}"
            counts = f"{found.again:,} of {wording.count(found.lines, 'record')}"
            made = made_before(folder / ANSWERS)
            before = f"{wording.count(made, 'call')} made before, " if made else ""
            left = in_words(left_of(expected, made))
            say(f"{what}: {counts} by {self.bad}, {before}about {left}")
            try:
                require_fields(found, bad, prompt, self.bad)
                require_budget(expected, budget, f"the repair of {what}", settings_file(task))
            except PromptHubError as error:
                if run is not None:
                    raise
                self._leave_out(error)
                continue
            repairs.append(_Repair(old, folder, expected))
        if not repairs and not self.left_out:
            say(f"nothing to repair: {self.objects.address} has no other run of {self.bad}")
        return repairs

    def _leave_out(self, error: PromptHubError) -> None:
        self._note(ExitCode.BLOCKED)
        say(f"left out: {error}")
        self.left_out.append(str(error))

    def _runs(self, wanted: str | None) -> list[RunManifest]:
        task = self.by.task
        if wanted is None:
            return open_repairs(self.objects, task, self.bad, self.by)
        runs = runs_of(self.objects, task, self.bad)
        found = [manifest for manifest in runs if manifest.run.startswith(wanted)]
        if len(found) != 1:
            known = ", ".join(manifest.run[:12] for manifest in runs) or "none"
            raise PromptHubError(
                f"{len(found)} runs begin with {wanted!r} and have records of {task} {self.bad}"
                f" (known: {known})."
            )
        done = find_repair(self.objects, found[0], self.bad, self.by)
        if done is None:
            return found
        say(f"run {found[0].run} was repaired already: {done.json_lines.uri}")
        return []

    async def repair(self, repair: _Repair) -> RepairView | None:
        """Repair one run; None where some records got no answer, and the command goes on later."""
        started, old, folder = datetime.now(UTC), repair.old, repair.folder
        answers, output, changes = folder / ANSWERS, folder / OUTPUT, folder / CHANGES
        # What is there is whole: nobody is paid twice for it.
        taken_up = answers.exists()
        if not taken_up:
            stats = await self._answer(old, answers)
            if stats.unanswered:
                return None
            taken_up = stats.resumed > 0
        with explain_write_errors(folder), output.open("wb") as stream, changes.open("wb") as every:
            tally = correct(old.path, answers, self.bad, stream, every)
        place = claim(old, self.objects, folder.name, self.by.version, output)
        manifest = self._manifest(repair, place, output, answers, started, taken_up=taken_up)
        view = RepairView(manifest, tally, self._answered(manifest), place.name(CHANGES))
        summary = json.dumps(repair_json(view), indent=2, ensure_ascii=False)
        place.objects.put(place.key(CHANGES), changes)
        place.write("changes.html", repair_page(view))
        place.write("changes.md", repair_markdown(view))
        place.write("changes.json", f"{summary}\n")
        if not old.stored:
            place.write(MANIFEST, manifest.to_json())
        write_manifest(self.objects, manifest)
        if self.announces:
            announce(self.objects, manifest, folder)
        shutil.rmtree(folder)
        say(f"corrected: {place.uri(OUTPUT)}")
        say(f"what changed: {place.uri('changes.html')}")
        if tally.failed:
            self._note(ExitCode.BLOCKED)
        return view

    async def _answer(self, old: OldOutput, answers: Path) -> BatchStats:
        """Ask about every record again; what is answered stays open where some got no answer."""
        journal = Journal(answers, {"repair": answers.parent.name})
        segments = Segments(self.objects, self.by.task, answers.parent.name, 0, journal.path)
        if old.stored and not journal.path.exists():
            segments.restore()
        with journal:
            if journal.finished:
                say(f"going on: {wording.count(len(journal.finished), 'record')} finished before")
            runner = Runner(
                mapper=LineReader(self.restored.prompt.input),
                backend=self.backend,
                journal=journal,
                concurrency=self.client.concurrency(self.restored.prompt),
                say=say,
                progress=Progress(),
                example=partial(
                    known_example, self.repository, self.by.task, self.restored.prompt.input
                ),
                logged=self.announces,
            )
            storing = asyncio.create_task(segments.keep_storing()) if old.stored else None
            try:
                async with self._sharing(answers.parent.name) if old.stored else nullcontext():
                    stats = await runner.run(records_of(old.path, self.bad))
            except asyncio.CancelledError:
                finished = wording.count(len(journal.finished), "record")
                say(f"{finished} finished: the same command goes on.")
                raise
            finally:
                if storing is not None:
                    storing.cancel()
                    segments.store()
            if stats.unanswered:
                self._note(ExitCode.NOT_MEASURED)
                left = wording.count(stats.unanswered, "record")
                say(f"{left} without an answer. {stats.reason}")
                say("nothing is written yet: run the same command again to ask for the rest.")
            else:
                journal.publish()
        return stats

    def _sharing(self, run: str) -> AbstractAsyncContextManager[None]:
        """Leave their part of the limits to runs that go on in the same store."""
        alias = self.restored.prompt.model.alias
        return OtherRuns(self.objects, alias, run, 1).sharing(self.client.keep_to, say)

    def _manifest(
        self,
        repair: _Repair,
        place: Place,
        output: Path,
        answers: Path,
        started: datetime,
        *,
        taken_up: bool,
    ) -> RunManifest:
        old = repair.old
        facts = RunFacts(
            run=repair.folder.name,
            task=self.by.task,
            stage=self.stage,
            versions="pin",
            source=RunFile(uri=old.output.uri, sha256=old.output.sha256, bytes=old.output.bytes),
            blank=old.run.blank,
            forecast=repair.forecast,
            shards=1,
            read_as=(),
            started=started,
        )
        forms = make_forms(output, [each.format for each in old.run.outputs])
        outputs = tuple(describe(path, place.put(form, path), form) for form, path in forms)
        repair_of = RepairOf(run=old.run.run, version=self.bad, reason=self.restored.reason)
        manifest = summarise(output).to_manifest(facts, outputs, repair_of, taken_up=taken_up)
        # The other lines were paid for by the run that is repaired.
        spent = summarise(answers).spent(manifest.spent.seconds)
        return manifest.model_copy(update={"spent": spent})

    def _answered(self, manifest: RunManifest) -> VersionCount:
        counts = manifest.answered_by
        return next(count for count in counts if count.sha256 == self.by.sha256)

    def _note(self, code: ExitCode) -> None:
        self.code = max(self.code, code)


def _models(stage: str | None) -> ModelAliases:
    """Return the models of this environment; where it has none, those that the stage asks."""
    chosen = os.environ.get(aws_names.ENV_MODELS, "").strip()
    if chosen or stage is None:
        return ModelAliases.from_environment()
    from prompt_hub.ledger.stage_session import ecs_of
    from prompt_hub.release.ecs_task import running_environment

    return ModelAliases.of_service(running_environment(ecs_of(stage), stage), stage)


def _store(address: str | None, stage: str | None) -> Objects | None:
    bucket = os.environ.get(aws_names.ENV_RECORDS_BUCKET)
    if address is None and bucket and stage in {None, stage_of_environment()}:
        address = f"s3://{bucket}"
    if address is not None:
        return objects_from(address, stage=stage)
    bucket_there = stage_bucket(stage) if stage else None
    return bucket_there if bucket_there is not None and bucket_there.exists() else None


def _work(arguments: argparse.Namespace, repository: PromptRepository) -> Path:
    """Return where repairs are made; a container of a stage may write nowhere else."""
    if arguments.after_rollback:
        return Path(tempfile.gettempdir()) / "prompt-hub-repairs"
    return repository.root / WORK


def _agreed(repairs: int, *, sure: bool) -> bool:
    """Ask a person, where there is one; raises `PromptHubError` where nobody can be asked."""
    if sure:
        return True
    if not sys.stdin.isatty():
        raise PromptHubError(
            "nobody is there to say that this may be asked and paid.", hint="Give --yes."
        )
    # Not by `input`, which asks on standard output, where programs read the summaries.
    question = f"Make these records of {wording.count(repairs, 'run')} again? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
