"""The console's pages: each asks its sources and says which template shows what they answered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment

from prompt_hub.console import series
from prompt_hub.console.clone import Clone
from prompt_hub.console.examples import SHOWS, ExampleIndex, Filter, as_fields, as_json
from prompt_hub.console.incident import read_evidence, read_steps
from prompt_hub.console.known import Asker, Known, gaps
from prompt_hub.console.moments import ago, moment
from prompt_hub.console.now import POINTERS, newest_of, open_incident, read_now
from prompt_hub.console.stage import Action, Execution, Recent, StageReader
from prompt_hub.core import aws_names
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.foreign_text import shortened
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.ledger.items import Event, Pointer, VersionRecord
from prompt_hub.ledger.messages import done, headline, next_steps
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.reporting import pages, words
from prompt_hub.reporting.answers import Change, object_in
from prompt_hub.reporting.catalogue import open_state
from prompt_hub.reporting.diff import PromptComparison
from prompt_hub.reporting.evaluation import EvaluationView
from prompt_hub.repository.registry import RegisteredTask, RegisteredVersion
from prompt_hub.repository.schema import version_key

TEMPLATES = Path(__file__).parent / "templates"
NOW_SECONDS, PIPELINE_SECONDS, LOG_SECONDS, READING_SECONDS = 5.0, 3.0, 2.0, 0.5
"""How often a live page is made anew; what did not change is not sent."""
LONG = 300
"""Score samples on the page of one task."""
INDEXES = 3
LONGEST_NAME = 200
"""Characters of a name in an address: no task, version, execution or action has more."""
_EXECUTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids of executions, which CodePipeline gives out; it is asked for nothing else."""
Query = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page to show; one with `every` is made anew so often, for as long as somebody looks."""

    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)
    every: float | None = None
    status: int = 200
    location: str = ""
    """Where to look instead."""


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version of a task, as git and the stage's ledger know it."""

    version: str
    in_git: RegisteredVersion | None
    in_stage: VersionRecord | None
    evaluated: bool
    open: EvaluationRecord | None
    """Its evaluation, where git has decided nothing about it."""

    @property
    def words_of_git(self) -> str:
        """Who moved it in git and why; where the stage's reason stands beside it, not again."""
        if self.open is not None:
            return f"{self.open.verdict.status}: {'; '.join(words.reasons(self.open))}"
        if self.in_git is None:
            return ""
        reason = self.in_git.reason or ""
        if self.in_stage is not None and self.in_stage.reason in reason:
            reason = reason.replace(self.in_stage.reason, "as above")
        return ": ".join(filter(None, (self.in_git.person, reason)))


class Console:
    """All pages about one stage."""

    def __init__(self, stage: StageReader, root: Path) -> None:
        """Show `stage`, and git's side as it lies below `root`."""
        self.stage = stage
        asker = Asker()
        self._asker, self._ask = asker, asker.ask
        self.clone = Clone(root, asker)
        self._indexes: Bounded[int, ExampleIndex] = Bounded(INDEXES)

    # --- now -----------------------------------------------------------------------------------

    def now(self, query: Query) -> Page:
        """Every task of the stage."""
        search = query.get("search", "")
        page = number(query.get("page"))
        view = read_now(self.stage, self.clone, self._asker, search=search, page=page)
        return Page(
            template="now.html.j2",
            title="Now",
            values={"view": view, "search": search},
            every=NOW_SECONDS,
        )

    # --- pipeline ------------------------------------------------------------------------------

    def pipeline(self, query: Query) -> Page:
        """Return the newest executions, and one of them action by action."""
        executions = self._ask("executions", self.stage.executions)
        listed, wanted = executions.otherwise(()), query.get("execution", "")
        chosen = _chosen(listed, wanted)
        id_ = chosen.id if chosen else wanted if _EXECUTION.fullmatch(wanted) else ""
        actions: Known[tuple[Action, ...]] = Known(())
        promotion: Known[Promotion | None] = Known(None)
        if id_:
            actions = self._actions(id_)
            promotion = self._ask("verdicts", partial(self.stage.promotion, id_), key=id_)
        acted = actions.otherwise(())
        if chosen is None and acted:
            chosen = _older(id_, acted)
        unknown = gaps(executions.problem, actions.problem, promotion.problem)
        missing_one = wanted if wanted and chosen is None and not unknown else ""
        return Page(
            template="pipeline.html.j2",
            title="Pipeline",
            values={
                "executions": listed,
                "chosen": chosen,
                "missing": missing_one,
                "stages": _by_stage(acted),
                "waiting": [action for action in acted if action.waits_for_a_person],
                "promotion": promotion.value,
                "now": datetime.now(UTC),
                "pipeline": aws_names.pipeline(),
                "unknown": unknown,
            },
            every=PIPELINE_SECONDS,
            status=404 if missing_one else 200,
        )

    def log(self, query: Query, execution: str, action: str) -> Page:
        """Return the end of the log of one action."""
        if not _EXECUTION.fullmatch(execution):
            return missing(f"There is no execution {execution} of this pipeline.")
        actions = self._actions(execution)
        found = next((each for each in actions.otherwise(()) if each.id == action), None)
        if found is None and actions.problem is None:
            return missing(f"Execution {execution} has no action {action}.")
        log: Known[tuple[str, ...]] = Known(())
        if found is not None and found.has_log:
            log = self._ask("the log", partial(self.stage.log, found.external), key=found.external)
        return Page(
            template="log.html.j2",
            title=f"Log of {found.name if found else action}",
            values={
                "execution": execution,
                "action": found,
                "lines": log.otherwise(()),
                "now": datetime.now(UTC),
                "unknown": gaps(actions.problem, log.problem),
            },
            every=LOG_SECONDS,
        )

    def _actions(self, execution: str) -> Known[tuple[Action, ...]]:
        return self._ask("actions", partial(self.stage.actions, execution), key=execution)

    # --- a task --------------------------------------------------------------------------------

    def task(self, query: Query, task: str) -> Page:
        """Return the versions of a task, what happened to it, and how two of them differ."""
        pointers, registry = self._pointers(), self.clone.registry()
        pointer = pointers.otherwise({}).get(task)
        registered = registry.value.tasks.get(task) if registry.value else None
        if pointer is None and registered is None and task not in self.clone.tasks():
            return _no_task(task, pointers.problem or registry.problem)
        recent = self._recent(task)
        states = self._ask(f"states of {task}", partial(self.stage.versions, task))
        metadata = self.clone.metadata(task)
        evaluated = self.clone.evaluations(task)
        decided = registered.versions if registered else {}
        # Nothing is called undecided while what git has decided is not known.
        undecided = [each for each in evaluated if registry.value and each not in decided]
        records = {version: self.clone.record(task, version) for version in undecided}
        lines = tuple(_lines(registered, states.otherwise({}), evaluated, records))
        known = [line.version for line in lines]
        candidate = metadata.value.version if metadata.value else None
        choices = list(dict.fromkeys([*(["candidate"] if candidate else []), *known]))
        first, second = query.get("from", ""), query.get("to", "")
        difference: Known[PromptComparison] = Known(None)
        gone = next((each for each in (first, second) if each and each not in choices), None)
        if gone is not None:
            name = shortened(gone, 40)
            difference = Known(None, f"{task} has no version {name} that could be compared.")
        elif first and second:
            difference = self.clone.comparison(task, first, second)
        lately = recent.otherwise(Recent())
        return Page(
            template="task.html.j2",
            title=task,
            values={
                "task": task,
                "pointer": pointer,
                "registered": registered,
                "candidate": candidate,
                "metadata": metadata.value,
                "newest": newest_of(lately.samples, pointer),
                "incident": open_incident(lately.events),
                "chart": series.draw(lately.samples, lately.events, datetime.now(UTC)),
                "events": lately.events[::-1],
                "lines": lines,
                "open_state": open_state,
                "choices": choices,
                "first": first or _before(pointer, lately.events, choices),
                "second": second or (pointer.version if pointer else ""),
                "difference": difference.value,
                "Change": Change,
                "problem": difference.problem,
                "unknown": gaps(
                    pointers.problem,
                    registry.problem,
                    recent.problem,
                    states.problem,
                    metadata.problem,
                    *(record.problem for record in records.values()),
                ),
            },
            every=None if difference.value else NOW_SECONDS,
        )

    # --- an incident ---------------------------------------------------------------------------

    def incident(self, query: Query, task: str, revision: str) -> Page:
        """Return what happened with a change of the ledger, what was done, and how to undo it."""
        pointers, recent = self._pointers(), self._recent(task)
        pointer, lately = pointers.otherwise({}).get(task), recent.otherwise(Recent())
        wanted = number(revision, 0)
        event = next((each for each in lately.events if each.revision == wanted), None)
        if event is None or pointer is None:
            if problem := recent.problem or pointers.problem:
                return _unknown(problem)
            return missing(f"The ledger has no change {revision} of {task}.")
        return Page(
            template="incident.html.j2",
            title=f"{task}: {headline(event)}",
            values={
                "task": task,
                "event": event,
                "title": headline(event),
                "done": done(event),
                "steps": read_steps(next_steps(event, self.stage.stage)),
                "evidence": read_evidence(event),
                "later": [each for each in lately.events if each.revision > wanted],
                "chart": series.draw(lately.samples, lately.events, datetime.now(UTC)),
                "pointer": pointer,
                "unknown": gaps(recent.problem),
            },
        )

    def _pointers(self) -> Known[dict[str, Pointer]]:
        return self._ask(POINTERS, self.stage.pointers)

    def _recent(self, task: str) -> Known[Recent]:
        read = partial(self.stage.recent, task, LONG, None)
        return self._ask(f"scores and history of {task}", read)

    # --- an evaluation -------------------------------------------------------------------------

    def view_of(self, source: str, *, wait: bool = False) -> Known[EvaluationView]:
        """Return the evaluation whose page has this path: one of `04-evals` or of an execution."""
        match source.split("/"):
            case ["evaluation", task, "version", version]:
                return self.clone.logged(task, version, wait=wait)
            case ["evaluation", task, "execution", execution]:
                return self.clone.of_execution(self.stage.results, task, execution, wait=wait)
        return Known(None, "there is no such source of examples.", absent=True)

    def evaluation(self, query: Query, task: str, kind: str, name: str) -> Page:
        """Return the examples of an evaluation."""
        source = f"evaluation/{task}/{kind}/{name}"
        found = self.view_of(source)
        view = found.value
        if found.reading:
            return Page(template="reading.html.j2", title=task, every=READING_SECONDS)
        if view is None:
            problem = found.problem or ""
            return missing(problem) if found.absent else _unknown(problem)
        index = self._indexes.get(id(view))
        if index is None or index.view is not view:
            index = ExampleIndex(view)
            self._indexes.put(id(view), index)
        wanted = Filter(
            show=query.get("show", "all") if query.get("show") in SHOWS else "all",
            words=query.get("words", ""),
            tag=query.get("tag", ""),
            field=query.get("field", ""),
            page=number(query.get("page")),
        )
        record = view.evaluation.record
        return Page(
            template="evaluation.html.j2",
            title=f"{task} {record.version}",
            values={
                "task": task,
                "view": view,
                "record": record,
                "mark": words.mark(record.verdict.status),
                "meaning": words.meaning(record.verdict.status),
                "reasons": words.reasons(record),
                "index": index,
                "wanted": wanted,
                "found": index.find(wanted),
                "shows": SHOWS,
                "source": source,
                "labels": self.clone.exists,
                "judges": [judge for judge in self.clone.judges().otherwise(()) if judge != task],
            },
        )


# --- what several pages need ---------------------------------------------------------------------


def fragment(page: Page) -> str:
    """Return what of a page changes while somebody looks; every value in it is escaped."""
    return _environment().get_template(page.template).render(**page.values)


def whole(page: Page, stage: str, *, labels: bool = False) -> str:
    """Return a whole page; `labels` says whether there is a clone to grade in."""
    live = fragment(page)
    return (
        _environment()
        .get_template("layout.html.j2")
        .render(
            stage=stage,
            labels=labels,
            title=page.title,
            live=live,
            seen=digest(live),
            is_live=page.every is not None,
            section=page.template.partition(".")[0],
        )
    )


def digest(live: str) -> str:
    """Return by what the browser and we know whether it shows the newest."""
    return hashlib.sha256(live.encode()).hexdigest()[:16]


def missing(message: str) -> Page:
    """Return a page that says what is not there."""
    return _instead("Not here", message, status=404)


def _unknown(problem: str) -> Page:
    """Return a page that says what could not be asked, for as long as that is so."""
    return _instead("Not known", problem, status=502, every=NOW_SECONDS)


def _instead(heading: str, message: str, *, status: int, every: float | None = None) -> Page:
    values = {"heading": heading, "message": message}
    return Page(template="gone.html.j2", title=heading, values=values, status=status, every=every)


def _lines(
    registered: RegisteredTask | None,
    states: Mapping[str, VersionRecord],
    evaluated: Sequence[str],
    undecided: Mapping[str, Known[EvaluationRecord | None]],
) -> Iterator[VersionLine]:
    in_git = registered.versions if registered else {}
    for version in sorted({*in_git, *states, *evaluated}, key=version_key, reverse=True):
        yield VersionLine(
            version=version,
            in_git=in_git.get(version),
            in_stage=states.get(version),
            evaluated=version in evaluated,
            open=undecided[version].value if version in undecided else None,
        )


def _no_task(task: str, problem: str | None) -> Page:
    if problem is not None:
        return _unknown(f"Whether there is a task {task} is not known. {problem}")
    return missing(f"There is no task {task}, neither in this stage nor in git.")


def _chosen(executions: tuple[Execution, ...], wanted: str) -> Execution | None:
    """Return the execution that is asked for, by default the newest that was not superseded."""
    if wanted:
        return next((each for each in executions if each.id == wanted), None)
    newest = (each for each in executions if each.status != "Superseded")
    return next(newest, executions[0] if executions else None)


def _older(id_: str, acted: Sequence[Action]) -> Execution:
    """Return an execution that is not among the newest, as far as its actions tell of it."""
    return Execution(id=id_, status="", started=acted[0].started, revision="")


def _by_stage(actions: tuple[Action, ...]) -> dict[str, list[Action]]:
    stages: dict[str, list[Action]] = {}
    for action in actions:
        stages.setdefault(action.stage, []).append(action)
    return stages


def _before(pointer: Pointer | None, events: Sequence[Event], choices: Sequence[str]) -> str:
    """Return what the active version is most likely to be compared with.

    The way back; after a rollback, which leaves none, what was rolled back.
    """
    active = pointer.version if pointer else ""
    way_back = [pointer.previous] if pointer else []
    left = [event.left for event in reversed(events)]
    known = (each.version for each in (*way_back, *left) if each is not None)
    likely = (version for version in known if version != active and version in choices)
    return next(likely, choices[-1] if choices else "")


def number(text: str | None, default: int = 1) -> int:
    """Return a number from an address or a form; `default` for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else default


@cache
def _environment() -> Environment:
    environment = pages.environment(TEMPLATES)
    environment.filters |= {
        "ago": ago,
        "fields": as_fields,
        "json": as_json,
        "moment": moment,
        "object": object_in,
    }
    environment.globals |= {"marked": series.MARKED}
    return environment
