"""What *now* shows: every task of a stage, those first that somebody should look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from prompt_hub.console import series
from prompt_hub.console.clone import Clone
from prompt_hub.console.known import Asker, Known, gaps
from prompt_hub.console.stage import Alarm, Recent, StageReader
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Event, EventKind, Pointer, ScoreSample
from prompt_hub.repository.registry import RegisteredTask, Registry
from prompt_hub.repository.schema import Metadata

POINTERS = "the ledger's pointers"
ROWS = 25
"""Tasks on one page: what is asked about single tasks is asked for these alone."""
SAMPLES, EVENTS = 60, 20
"""How far back a row looks: score samples, those of the way back included, and changes."""
SCORES_SECONDS = 10.0
AT_ONCE = 10
"""Questions about single tasks that are asked beside each other."""
ENDS_IT = (EventKind.ACTIVATED, EventKind.SEEDED, EventKind.UNFROZEN, EventKind.DOWNGRADED)
"""What a person or a release does, after which an earlier incident needs nobody any more."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One task."""

    task: str
    owner: str
    pointer: Pointer | None
    released: str | None
    candidate: str | None
    every_minutes: int | None
    """How often the score watch is to measure it."""
    newest: ScoreSample | None
    """The newest score of what is active."""
    chart: series.Series | None
    incident: Event | None
    """The newest change that asked for people, if nobody has moved the task since."""
    alarms: tuple[Alarm, ...]
    usd: float | None


@dataclass(frozen=True, kw_only=True)
class Now:
    """The page: rows, what they were chosen from, and what is not known."""

    rows: tuple[Row, ...]
    found: int
    """Tasks that match the search."""
    tasks: int
    page: int
    pages: int
    alarms: tuple[Alarm, ...]
    """Those of no single task."""
    quiet: bool
    """Whether AWS says that nothing rings, also of tasks that are not shown."""
    commit: str
    unknown: tuple[str, ...]


def read_now(stage: StageReader, clone: Clone, asker: Asker, *, search: str, page: int) -> Now:
    """Ask for all tasks at once, and for details of those that one page shows."""
    pointers = asker.ask(POINTERS, stage.pointers)
    alarms, registry = asker.ask("alarms", stage.alarms), clone.registry()
    live = pointers.otherwise({})
    released = registry.otherwise(Registry(schema_="prompt-hub/registry@1")).tasks
    by_task, others = _sorted_alarms(stage.stage, {*live, *released}, alarms.otherwise(()))
    wanted = search.lower().split()
    names = sorted({*live, *released, *clone.tasks()} - {aws_names.DRILL_TASK})
    chosen = [name for name in names if _matches(clone, name, released.get(name), wanted)]
    # What the two cheap questions show already; scores are asked of the tasks shown alone.
    chosen.sort(key=lambda name: (name not in by_task, not _frozen(live.get(name)), name))
    pages = max(-(-len(chosen) // ROWS), 1)
    page = min(max(page, 1), pages)
    shown = chosen[(page - 1) * ROWS : page * ROWS]
    active = {name: live[name] for name in shown if name in live and not live[name].retired}
    recent = _ask_recent(stage, asker, active)
    versions = tuple((name, pointer.version) for name, pointer in active.items())
    spent = asker.ask(
        "cost of today's calls", partial(stage.spent, versions), seconds=60, key=versions
    )
    metadata = {name: clone.metadata(name) for name in shown}
    now = datetime.now(UTC)
    rows = (
        _row(
            name,
            live.get(name),
            released.get(name),
            metadata[name].value,
            recent[name].otherwise(Recent()) if name in recent else Recent(),
            alarms=by_task.get(name, ()),
            usd=spent.otherwise({}).get(name),
            now=now,
        )
        for name in shown
    )
    return Now(
        rows=tuple(rows),
        found=len(chosen),
        tasks=len(names),
        page=page,
        pages=pages,
        alarms=others,
        quiet=alarms.value == (),
        commit=clone.commit(),
        unknown=gaps(
            pointers.problem,
            registry.problem,
            alarms.problem,
            spent.problem,
            *(answer.problem for answer in recent.values()),
            *(answer.problem for answer in metadata.values()),
        ),
    )


def _matches(
    clone: Clone, task: str, registered: RegisteredTask | None, words: Sequence[str]
) -> bool:
    """Whether each word stands in the task's name or owner, by metadata or else by the registry."""
    left = [word for word in words if word not in task.lower()]
    if not left:
        return True
    of_registry = registered.owner if registered else ""
    if not (_all_in(left, of_registry) or clone.metadata_may_say(task, left)):
        return False
    metadata = clone.metadata(task).value
    return _all_in(left, metadata.owner if metadata else of_registry)


def _all_in(words: Sequence[str], text: str) -> bool:
    return all(word in text.lower() for word in words)


def _ask_recent(
    stage: StageReader, asker: Asker, active: Mapping[str, Pointer]
) -> dict[str, Known[Recent]]:
    """Ask for what was said lately of tasks, several at once."""

    def ask(task: str) -> Known[Recent]:
        read = partial(stage.recent, task, SAMPLES, EVENTS)
        # A move of its pointer is news at once, a score within seconds: each costs a reading.
        state = active[task].revision
        return asker.ask(f"scores of {task}", read, seconds=SCORES_SECONDS, state=state)

    with ThreadPoolExecutor(AT_ONCE) as beside:
        return dict(zip(active, beside.map(ask, active), strict=True))


def _row(
    task: str,
    pointer: Pointer | None,
    registered: RegisteredTask | None,
    metadata: Metadata | None,
    lately: Recent,
    *,
    alarms: Sequence[Alarm],
    usd: float | None,
    now: datetime,
) -> Row:
    people = metadata or registered
    return Row(
        task=task,
        owner=people.owner if people else "",
        pointer=pointer,
        released=registered.released if registered else None,
        candidate=metadata.version if metadata else None,
        every_minutes=metadata.score_watch.every_minutes if metadata else None,
        newest=newest_of(lately.samples, pointer),
        chart=series.draw(lately.samples, lately.events, now),
        incident=open_incident(lately.events),
        alarms=tuple(alarms),
        usd=usd,
    )


def newest_of(samples: Sequence[ScoreSample], pointer: Pointer | None) -> ScoreSample | None:
    """Return the newest score of what is active; None where it has none."""
    if pointer is None:
        return None
    own = (sample for sample in reversed(samples) if sample.version == pointer.version)
    return next(own, None)


def open_incident(events: Sequence[Event]) -> Event | None:
    """Return the newest rollback, freeze or call for people that nothing came after."""
    for event in reversed(events):
        if event.kind in series.MARKED and event.kind is not EventKind.DOWNGRADED:
            return event
        if event.kind in ENDS_IT:
            return None
    return None


def _frozen(pointer: Pointer | None) -> bool:
    return pointer is not None and pointer.frozen


def _sorted_alarms(
    stage: str, tasks: set[str], alarms: Sequence[Alarm]
) -> tuple[dict[str, list[Alarm]], tuple[Alarm, ...]]:
    """Return alarms by the task that they are about, and those about no single one."""
    # Names are made of the task's at their end; each of them made anew would read settings anew.
    kinds = (aws_names.score_alarm, aws_names.contract_alarm, aws_names.freshness_alarm)
    beginnings = [kind(stage, "") for kind in kinds]
    by_task: dict[str, list[Alarm]] = {}
    others = []
    for alarm in alarms:
        ends = (alarm.name.removeprefix(begin) for begin in beginnings)
        task = next((end for end in ends if end in tasks), None)
        if task is None:
            others.append(alarm)
        else:
            by_task.setdefault(task, []).append(alarm)
    return by_task, tuple(others)
