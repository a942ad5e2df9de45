"""The life of a prompt as `prompt-hub demo` shows it: promoted, blocked, worse, rolled back.

What happens is the product's own work, called as its commands call it. Three things are not: the
model is a script, the ledger lies in memory, and nothing runs in between, so pipeline, image and
service are left out. The rollback is decided by the detector alone; in a stage the Lambda asks more
(docs/watch.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from prompt_hub.authoring.demo.memory_ledger import MemoryLedger
from prompt_hub.authoring.demo.model import ALIAS, RuleReader, aliases
from prompt_hub.authoring.starter import DEFAULT_INPUT, DEFAULT_OUTPUT, parse_fields, starter
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import UNKNOWN_COMMIT
from prompt_hub.core.wording import count
from prompt_hub.evaluation.cache import CACHE_DIR, ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.ledger.detector import Evidence, has_fallen, is_better
from prompt_hub.ledger.items import Deployed, Pointer, timestamp
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.client import ModelClient
from prompt_hub.monitoring.monitor import Measurement, MonitorRun, ScoreMonitor
from prompt_hub.promotion import transitions
from prompt_hub.promotion.write_back import read_words, write_back
from prompt_hub.release.activation import execute
from prompt_hub.release.manifest import Release, build_manifest
from prompt_hub.release.plan import BY, StageState, plan
from prompt_hub.reporting.attempts import keep_prompt
from prompt_hub.reporting.evaluation import read_view
from prompt_hub.reporting.formats import report_formats
from prompt_hub.reporting.next_steps import losses
from prompt_hub.reporting.run_model import FinalPointer, Moment, Rollback, RunReport, VersionScore
from prompt_hub.reporting.run_model import Step as ReportStep
from prompt_hub.reporting.run_page import run_page
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.reporting.words import score, signed
from prompt_hub.repository.examples import read_examples
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check

TASK = "part-class"
STAGE = "demo"
PAGE = "demo.html"
EXAMPLES = Path(__file__).with_name("parts.jsonl")
WORDINGS = {
    "0.1.0": "You sort electronic parts into classes. Ω: resistor. µF: capacitor. µH: inductor."
    " header, receptacle: connector.\n",
    "0.2.0": "You sort electronic parts into classes:\n- Ω: resistor\n- µF, pF: capacitor\n"
    "- µH, nH: inductor\n- header, receptacle, jack, pitch: connector\n",
    "0.3.0": "You sort electronic parts into classes. Ω: resistor. µ: capacitor. H: inductor."
    " pitch: connector.\n",
}
"""What the system message of each version says."""
THRESHOLDS = {"0.1.0": 0.75, "0.2.0": 0.9, "0.3.0": 0.9}


class Demo:
    """One prompt, from its first version to a rollback, in `folder`; `say` is told each line."""

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self._repository = PromptRepository(folder)
        self._results = FolderResults(folder / RESULTS_DIR)
        self._ledger = MemoryLedger()
        self._model = RuleReader()
        self._client = ModelClient(aliases(), self._model)
        self._say = say
        self._started = _now()
        self._steps: list[ReportStep] = []
        self._said: list[str] = []
        self._versions: list[VersionScore] = []
        self._timeline: list[Moment] = []

    async def run(self) -> Path:
        """Tell the whole life; returns the page about it."""
        with self._step("An author writes a first version, and it is released"):
            release = await self._push("0.1.0")
        with self._step("The next version reads more signs: better, so it is promoted"):
            release = await self._push("0.2.0") or release
        with self._step("Somebody shortens it: worse, so it is blocked, and 0.2.0 stays"):
            await self._push("0.3.0")
        assert release is not None
        with self._step("The score watch measures what is active"):
            before = await self._watch(release)
        with self._step("The provider, a script too, puts another model behind the same name"):
            self._model.reads_lists = False
            bad_since = _now()
            after = await self._watch(release)
        with self._step("The ledger is rolled back by itself, and git learns of it"):
            self._roll_back(after)
            restored = await self._answer()
        return self._write_page(before, after, (restored - bad_since).total_seconds())

    # --- What an author's push starts ----------------------------------------------------------

    async def _push(self, version: str) -> Release | None:
        """Write, validate, measure, and release or block a version."""
        self._author(version)
        evaluator = Evaluator(
            self._repository,
            self._client,
            self._results,
            execution=f"demo-{version}",
            commit=UNKNOWN_COMMIT,
            store=ResponseStore(self._repository.root / CACHE_DIR),
            say=lambda line: None,
        )
        record = await evaluator.evaluate(TASK)
        keep_prompt(self._repository.root, record, self._repository.candidate(TASK))
        self._tell_verdict(record)
        return self._promote(record)

    def _author(self, version: str) -> None:
        """Write the task's files as `prompt-hub new` and an author do, and validate them."""
        made = starter(
            TASK,
            parse_fields(DEFAULT_INPUT, "--input"),
            parse_fields(DEFAULT_OUTPUT, "--output"),
            owner="catalogue-team",
            description="Find the class of an electronic part.",
            alias=ALIAS,
        )
        messages = made.prompt["messages"]
        assert isinstance(messages, list)
        messages = [{"role": "system", "content": WORDINGS[version]}, messages[-1]]
        prompt = {name: value for name, value in made.prompt.items() if name != "few_shot"}
        task = replace(
            made,
            comment="Made by `prompt-hub demo`.",
            prompt={**prompt, "messages": messages},
            metadata={**made.metadata, "threshold": THRESHOLDS[version]},
            examples=read_examples(BytesIO(EXAMPLES.read_bytes()), EXAMPLES.name).examples,
        )
        files = {
            path: text.replace("version: 0.1.0", f"version: {version}")
            for path, text in task.files().items()
        }
        apply(self._repository.root, files)
        tree, findings = check(self._repository, TASK)
        if wrong := next((finding for finding in findings if finding.is_error), None):
            raise _broken(str(wrong.problem))
        self._tell(
            f"written and validated: {count(len(tree.files), 'file')} below prompts/, none wrong"
        )

    def _tell_verdict(self, record: EvaluationRecord) -> None:
        arm, champion = record.candidate, record.champion
        assert arm is not None
        beside = f" · released {champion.version} {score(champion.score)}" if champion else ""
        self._tell(
            f"{TASK} {record.version}: {record.verdict.status}"
            f" · score {score(arm.score, record.threshold)} on {count(arm.n, 'example')}"
            f" · threshold {score(record.threshold, arm.score)}{beside}"
        )
        page = f"{TASK}-{record.version}.html"
        self._versions.append(
            VersionScore(
                task=TASK,
                version=record.version,
                model=arm.model,
                score=arm.score,
                threshold=record.threshold,
                baseline=record.baseline,
                verdict=record.verdict.status,
                n=arm.n,
                champion_score=champion.score if champion else None,
                page=page,
            )
        )
        evaluations = Evaluations(self._repository, self._results, record.execution)
        view = read_view(evaluations, evaluations.find(TASK, record.version))
        (self._repository.root / page).write_text(
            report_formats()["html"].render(view), encoding="utf-8"
        )
        if not record.verdict.promotes:
            for line in list(losses(view.worst))[:5]:
                self._tell(line.removeprefix("  "))

    def _promote(self, record: EvaluationRecord) -> Release | None:
        """Let git release what the gate has passed, and the stage follow; log what it has not."""
        found = evaluation_by(self._results, record.execution, TASK)
        assert found is not None
        move = transitions.promote if record.verdict.promotes else transitions.refuse
        changes = move(self._repository, record, found.details_text, _now())
        apply(self._repository.root, changes)
        if not record.verdict.promotes:
            self._tell("refused: prompts/04-evals and the registry say why; nothing else has moved")
            return None
        self._tell("promoted: prompts/02-production, 04-evals and the registry, all or none")
        release = build_manifest(
            self._repository,
            release=record.execution,
            commit=UNKNOWN_COMMIT,
            made_at=_now(),
            live=self._ledger.pointers().values(),
        )
        self._ledger.deploy(
            Deployed(
                release=release.reference,
                commit=release.commit,
                carries=release.carries(),
                at=timestamp(_now()),
            ),
            by=BY,
        )
        stage = StageState(
            pointers=self._ledger.pointers(),
            retired=self._ledger.retired(),
            versions={TASK: self._ledger.versions(TASK)},
            models={model.alias: model.identity for model in aliases()},
        )
        execute(self._ledger, release, plan(release, stage), say=self._tell)
        return release

    # --- What happens in a stage ---------------------------------------------------------------

    def _pointer(self) -> Pointer:
        pointer = self._ledger.pointer(TASK)
        assert pointer is not None
        return pointer

    async def _watch(self, release: Release) -> MonitorRun:
        """Measure one round, with fresh ones and the way back beside it where it is suspicious."""
        monitor = ScoreMonitor(self._repository, release, self._client, TASK, say=lambda line: None)
        found = await monitor.round(self._pointer())
        at = timestamp(_now())
        self._ledger.add_samples(
            found.samples(evaluation=f"{STAGE}/{TASK}/{at}", at=at, release=release.release)
        )
        for measured, role in zip(found.readings, ("active", "its way back"), strict=False):
            self._tell(f"{role}, {_measured(measured)}, {count(measured.evidence.rounds, 'round')}")
        return found

    def _roll_back(self, found: MonitorRun) -> None:
        """Go back where the rounds in the ledger show that the active version is to blame."""
        pointer = self._pointer()
        active: list[tuple[Evidence, float]] = []
        way_back: list[Evidence] = []
        for sample in reversed(self._ledger.samples(TASK, 100)):
            assert sample.evidence is not None
            if sample.version == pointer.version:
                active.append((sample.evidence, sample.threshold))
            else:
                way_back.append(sample.evidence)
        error = found.active.evidence.error
        if not (found.control and has_fallen(active, error) and is_better(way_back, error)):
            raise _broken("the rounds do not show that the version before is better")
        self._happened(f"score watch: {_measured(found.active)}")
        reason = f"{_measured(found.active)}; on the same examples {_measured(found.control)}"
        cause = Cause(by="rollback", code="below-threshold", reason=reason, at=timestamp(_now()))
        event = self._ledger.roll_back(TASK, seen=pointer.revision, cause=cause)
        self._happened(
            f"ledger: {pointer.version} is quarantined, {event.reached.version} is active;"
            f" revision {event.revision}"
        )
        words = read_words(STAGE, self._ledger)
        for back in write_back(self._repository, words, lambda line: None):
            self._happened(
                f"git's files: {back.version} is {back.action} by {back.person},"
                f" {back.to} is released"
            )

    async def _answer(self) -> datetime:
        """Answer a record with what the ledger has active; return when that was done."""
        version = self._pointer().version
        prompt = self._repository.version(TASK, version)
        assert prompt is not None
        example = self._repository.examples(TASK)[0]
        answer = await self._client.call(prompt, example.input)
        self._happened(f"{version} answers: {example.input['title']}: {answer.response.text}")
        return _now()

    # --- What is told --------------------------------------------------------------------------

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._say(f"\n[{len(self._steps) + 1}] {name}")
        self._said, started = [], _now()
        yield
        self._steps.append(
            ReportStep(
                name=name,
                started_at=started,
                seconds=(_now() - started).total_seconds(),
                status="ok",
                detail="\n".join(self._said),
            )
        )

    def _tell(self, line: str) -> None:
        self._said.append(line)
        self._say(f"    {line}")

    def _happened(self, line: str) -> None:
        self._timeline.append(Moment(at=_now(), what=line))
        self._tell(line)

    def _write_page(self, before: MonitorRun, after: MonitorRun, seconds: float) -> Path:
        pointer = self._pointer()
        scores = {one.version: one.score for one in self._versions if one.verdict == "PASS"}
        rollback = Rollback(
            task=TASK,
            from_=after.active.carried.version,
            to=pointer.version,
            seconds_first_bad_sample_to_good_answer=seconds,
            scores_before=scores | {before.active.carried.version: before.active.score},
            scores_after={one.carried.version: one.score for one in after.readings},
            thresholds={one.carried.version: one.carried.threshold for one in after.readings},
        )
        states = self._ledger.version_states(TASK)
        run = RunReport(
            schema_="prompt-hub/run@1",
            title="prompt-hub demo: one prompt, its model a script, its ledger in memory",
            started_at=self._started,
            finished_at=_now(),
            steps=tuple(self._steps),
            versions=tuple(self._versions),
            timeline=tuple(self._timeline),
            rollback=rollback,
            pointers=(
                FinalPointer(
                    task=TASK,
                    version=pointer.version,
                    reason=pointer.reason,
                    states={version: state.value for version, state in states.items()},
                ),
            ),
        )
        page = self._repository.root / PAGE
        page.write_text(run_page(run), encoding="utf-8")
        return page


def _measured(found: Measurement) -> str:
    version, threshold = found.carried.version, found.carried.threshold
    return (
        f"{version} scores {score(found.score, threshold)}"
        f" ({signed(found.margin, 0.0)} against its threshold {score(threshold, found.score)})"
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _broken(reason: str) -> PromptHubError:
    return PromptHubError(
        f"the demo does not show what it is for: {reason}.",
        hint="Please report it.",
        exit_code=ExitCode.UNEXPECTED,
    )
