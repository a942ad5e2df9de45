"""What must hold of layers and registry after any order of moves, crashes included."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from pathlib import Path

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.record import EvaluationRecord, parse_record
from prompt_hub.gate.types import Status
from prompt_hub.promotion import transitions
from prompt_hub.promotion.registry_writer import registry_text
from prompt_hub.promotion.states import MOVES, Decision, State
from prompt_hub.repository.documents import to_model
from prompt_hub.repository.reader import BOT_LAYERS, EVALS, REGISTRY
from prompt_hub.repository.registry import RegisteredTask, Registry
from prompt_hub.repository.schema import version_key
from prompt_hub.repository.transaction import FOLDER, Changes, apply, recover
from prompt_hub.repository.yaml import parse_yaml
from tests.unit.building import RepositoryFolder, build
from tests.unit.promotion.records import AT, MODELS, record_of
from tests.unit.repository.faults import dies_at, in_child

TASK = "part-class"
PROMPT = f"prompts/00-templates/{TASK}.yaml"
METADATA = f"prompts/03-metadata/{TASK}.yaml"
ROLE = "prompts/00-templates/catalogue-role.txt"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "2.0.0")
WORDS = tuple(f"You sort electronic parts, {way}.\n" for way in ("fast", "well", "by class"))
ADA = Decision("Ada Lovelace", "customers see wrong classes")
DECISIONS = st.sampled_from([ADA] * 6 + [Decision(" ", ADA.reason), Decision(ADA.person, "no")])
STATUSES = [Status.PASS, Status.PASS, Status.BLOCK, Status.INCONCLUSIVE, Status.NOT_MEASURED]
DECIDED = [Status.PASS, Status.PASS, Status.BLOCK, Status.BLOCK, Status.INCONCLUSIVE]
PICKS = st.integers(0, 11)
FRESH = st.sampled_from([True, True, False])
"""Whether the record that is acted on later speaks of the candidate as it is now."""
CRASHES = st.none() | st.integers(0, 90)
"""At which step of the write the process dies; None, and steps beyond the last, let it live."""
MADE_MOVES = {(move.source, move.target) for move in MOVES}
MORE = os.environ.get("MORE_HISTORIES")
"""How many histories to try instead of the few that suit every run."""


@dataclass(frozen=True)
class Snapshot:
    """Every byte of the repository, and the state of every version."""

    files: dict[str, bytes]
    states: dict[str, State]
    released: str | None


class VersionHistory(RuleBasedStateMachine):
    """One task's versions under any events, allowed or not, on a real repository."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="history-"))
        self.folder = RepositoryFolder(self.place / "repository")
        self.record: tuple[EvaluationRecord, str]
        self.ever_released: dict[str, str] = {}
        self.hours = 0
        self.checked: dict[str, bytes] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    @initialize(released=st.sampled_from([True, True, True, False]))
    def begin(self, released: bool) -> None:
        shutil.copytree(_built(), self.folder.root)
        if not released:
            for layer in BOT_LAYERS:
                shutil.rmtree(self.folder.root / "prompts" / layer)
            (self.folder.root / REGISTRY).unlink()
        self._remember()
        self.evaluate(Status.PASS, MODELS[0])

    # --- what people and the pipeline do ---------------------------------------------------------

    @rule(version=st.none() | st.sampled_from(VERSIONS), words=st.sampled_from(WORDS), fresh=FRESH)
    def edit(self, version: str | None, words: str, fresh: bool) -> None:
        """The author changes the candidate; without `version` the next free number is taken.

        What validation refuses never reaches the branch.
        """
        before = self.folder.repository.draft(TASK).version
        texts = {name: self.folder.read(name) for name in (PROMPT, METADATA, ROLE)}
        if version is None:
            known = {before, *self._snapshot().states}
            major, minor, _ = version_key(max(known, key=version_key))
            version = f"{major}.{minor + 1}.0"
        for name in (PROMPT, METADATA):
            text = self.folder.read(name)
            self.folder.write(name, text.replace(f"\nversion: {before}", f"\nversion: {version}"))
        self.folder.write(ROLE, words)
        if refused := self.folder.errors():
            event(f"edit refused: {refused[0].rule}")
            for name, text in texts.items():
                self.folder.write(name, text)
        if fresh:
            self.evaluate(Status.PASS, MODELS[0])

    @rule(status=st.sampled_from(STATUSES), model=st.sampled_from(MODELS))
    def evaluate(self, status: Status, model: str) -> None:
        self.record = record_of(self.folder.repository, TASK, status, model)

    @rule(status=st.sampled_from(DECIDED), model=st.sampled_from(MODELS), crash=CRASHES)
    def execute(self, status: Status, model: str, crash: int | None) -> None:
        """One execution of the pipeline: the candidate as it is now is measured and decided on."""
        self.evaluate(status, model)
        self.promote(crash) if self.record[0].verdict.promotes else self.refuse(crash)

    @rule(crash=CRASHES)
    def promote(self, crash: int | None) -> None:
        record, details = self.record
        before, moved = self._attempt(
            lambda: transitions.promote(self.folder.repository, record, details, self._now()), crash
        )
        if moved:
            assert record.verdict.status is Status.PASS or record.verdict.overridden_by
            assert before.states.get(record.version, State.CANDIDATE) in (
                State.CANDIDATE,
                State.BLOCKED,
                State.RELEASED,
            )
            after = self._snapshot()
            assert after.released == record.version
            if before.released not in (None, record.version):
                assert before.released is not None
                assert version_key(record.version) > version_key(before.released)
                assert after.states[before.released] is State.SUPERSEDED

    @rule(crash=CRASHES)
    def refuse(self, crash: int | None) -> None:
        record, details = self.record
        if record.verdict.promotes or record.verdict.status is Status.NOT_MEASURED:
            return
        before, moved = self._attempt(
            lambda: transitions.refuse(self.folder.repository, record, details, self._now()), crash
        )
        assert self._snapshot().released == before.released
        if moved and record.verdict.status is Status.BLOCK and before.released != record.version:
            assert self._snapshot().states[record.version] is State.BLOCKED

    @rule(named=st.booleans())
    def override(self, named: bool) -> None:
        """An entry of the metadata, as the command writes it; no layer of the bot is touched."""
        version = self.folder.repository.metadata(TASK).version
        text = self.folder.read(METADATA).split("override:")[0]
        if named:
            text += (
                f"override: {{person: Ada Lovelace, reason: {ADA.reason}, version: {version}}}\n"
            )
        self.folder.write(METADATA, text)

    @rule(pick=PICKS, decision=DECISIONS, overridden=st.booleans(), crash=CRASHES)
    def downgrade(self, pick: int, decision: Decision, overridden: bool, crash: int | None) -> None:
        to = self._known(pick)
        decision = Decision(decision.person, decision.reason, overridden)
        before, moved = self._attempt(
            lambda: transitions.downgrade(self.folder.repository, TASK, to, decision, self._now()),
            crash,
        )
        if moved:
            self._by_ada(decision)
            assert self._snapshot().released == to
            assert before.states[to] is State.SUPERSEDED or overridden
            if before.released is not None:
                newer = version_key(to) > version_key(before.released)
                reached = State.SUPERSEDED if newer else State.DOWNGRADED
                assert self._snapshot().states[before.released] is reached

    @rule(decision=DECISIONS, crash=CRASHES)
    def archive(self, decision: Decision, crash: int | None) -> None:
        before, moved = self._attempt(
            lambda: transitions.archive(self.folder.repository, TASK, decision, self._now()), crash
        )
        if moved:
            self._by_ada(decision)
            assert before.released is not None
            assert self._snapshot().states[before.released] is State.ARCHIVED
            assert self._snapshot().released is None

    @rule(pick=PICKS, to=st.none() | PICKS, decision=DECISIONS, crash=CRASHES)
    def quarantine(self, pick: int, to: int | None, decision: Decision, crash: int | None) -> None:
        version, successor = self._known(pick), None if to is None else self._known(to)
        before, moved = self._attempt(
            lambda: transitions.quarantine(
                self.folder.repository, TASK, version, decision, self._now(), successor=successor
            ),
            crash,
        )
        if moved:
            self._by_ada(decision)
            assert self._snapshot().states[version] is State.QUARANTINED
            was_champion = before.released == version
            assert self._snapshot().released == (successor if was_champion else before.released)
            assert successor is None or before.states[successor] is State.SUPERSEDED

    @rule(pick=PICKS, score=st.sampled_from([0.3, 0.95]), crash=CRASHES)
    def replay(self, pick: int, score: float, crash: int | None) -> None:
        """A record in `04-evals` is made again from its answers: other code scores otherwise."""
        evaluations = self.folder.root / "prompts" / EVALS / TASK
        paths = sorted(evaluations.glob("*.json"))
        if not paths:
            return
        path = paths[pick % len(paths)]
        record = parse_record(path.read_text("utf-8"), path.name)
        details = path.with_suffix(".jsonl").read_text("utf-8")
        arm = record.candidate
        assert arm is not None
        record = record.model_copy(update={"candidate": arm.model_copy(update={"score": score})})
        before, _ = self._attempt(
            lambda: transitions.replace_record(self.folder.repository, record, details), crash
        )
        after = self._snapshot()
        assert (after.states, after.released) == (before.states, before.released)

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_repository_is_sound(self) -> None:
        snapshot = self._snapshot()
        if snapshot.files != self.checked:  # a refused event has changed nothing to look at again
            self._validation_passes()
            self._one_version_is_released_or_none(snapshot)
            self._no_version_that_was_ever_released_is_lost()
            self.checked = snapshot.files

    def _validation_passes(self) -> None:
        """Whoever moves a version never leaves a repository that the pipeline refuses."""
        found = [f"{finding.rule}: {finding.problem}" for finding in self.folder.errors()]
        assert not found, found

    def _one_version_is_released_or_none(self, snapshot: Snapshot) -> None:
        champion = self.folder.repository.production(TASK)  # its lock is verified by reading it
        released = [version for version, state in snapshot.states.items() if state == "released"]
        assert released == ([champion.version] if champion else [])
        assert snapshot.released == (champion.version if champion else None)

    def _no_version_that_was_ever_released_is_lost(self) -> None:
        repository = self.folder.repository
        champion = repository.production(TASK)
        kept = [*repository.archived(TASK), *([champion] if champion else [])]
        assert len({prompt.version for prompt in kept}) == len(kept), "a version lies in two places"
        assert {item.version: item.sha256 for item in kept} == self.ever_released

    @invariant()
    def nothing_is_left_of_a_write(self) -> None:
        assert not (self.folder.root / FOLDER).exists()

    # --- how it is done --------------------------------------------------------------------------

    def _attempt(self, decide: Callable[[], Changes], crash: int | None) -> tuple[Snapshot, bool]:
        """Carry out a move, maybe in a process that dies; returns what was before, and if it moved.

        A refused event changes no byte; a crash leaves the old bytes or the new ones; a version
        changes its state only in ways that the table has.
        """
        before = self._snapshot()
        try:
            changes = decide()
        except PromptHubError as error:
            event(f"refused: {error.message.split(': ')[-1][:60]}")
            assert self._snapshot() == before
            return before, False
        expected = dict(before.files)
        for name, text in changes.items():
            expected.pop(name, None)
            if text is not None:
                expected[name] = text.encode("utf-8")
        if crash is None:
            apply(self.folder.root, changes)
        else:
            in_child(self.folder.root, partial(apply, self.folder.root, changes), dies_at(crash))
            recover(self.folder.root)
        after = self._snapshot()
        if after == before and expected != before.files:
            assert crash is not None
            return before, False
        assert after.files == expected
        for version, state in after.states.items():
            was = before.states.get(version, State.CANDIDATE)
            assert was is state or (was, state) in MADE_MOVES, f"{version}: {was} -> {state}"
            if was is not state:
                event(f"{was} -> {state}")
        assert before.states.keys() <= after.states.keys()
        self._remember()
        return before, True

    def _by_ada(self, decision: Decision) -> None:
        assert (decision.person, decision.reason) == (ADA.person, ADA.reason)
        people = [entry.person for entry in self._registered().versions.values()]
        assert ADA.person in people

    def _remember(self) -> None:
        champion = self.folder.repository.production(TASK)
        if champion is not None:
            self.ever_released[champion.version] = champion.sha256
        for old in self.folder.repository.archived(TASK):
            self.ever_released.setdefault(old.version, old.sha256)

    def _known(self, pick: int) -> str:
        """One of the versions that the registry knows, or one that it does not."""
        known = sorted(self._snapshot().states, key=version_key, reverse=True)
        return [*known, "9.9.9"][pick % (len(known) + 1)]

    def _now(self) -> datetime:
        self.hours += 1
        return AT + timedelta(hours=self.hours)

    def _registered(self) -> RegisteredTask:
        return self.folder.repository.registry().tasks[TASK]

    def _snapshot(self) -> Snapshot:
        root = self.folder.root
        paths = [path for path in (root / "prompts").rglob("*") if path.is_file()]
        if (root / REGISTRY).exists():
            paths.append(root / REGISTRY)
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
        return Snapshot(files, *_states(files.get(REGISTRY, b"")))


@lru_cache(maxsize=8)
def _states(registry: bytes) -> tuple[dict[str, State], str | None]:
    """The state of every version, and the released one."""
    if not registry:
        return {}, None
    document = parse_yaml(registry.decode("utf-8"), REGISTRY)
    task = to_model(document, Registry).tasks[TASK]
    return {name: State(version.state) for name, version in task.versions.items()}, task.released


_BUILT = tempfile.TemporaryDirectory(prefix="built-")


@cache
def _built() -> Path:
    """The small healthy repository without its second task."""
    folder = build(Path(_BUILT.name))
    for path in (folder.root / "prompts").rglob("brand*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    registry = folder.repository.registry()
    tasks = {name: task for name, task in registry.tasks.items() if name == TASK}
    folder.write(REGISTRY, registry_text(registry.model_copy(update={"tasks": tasks})))
    return folder.root


VersionHistory.TestCase.settings = settings(
    max_examples=int(MORE or 20), stateful_step_count=60 if MORE else 20
)
TestVersionHistory = VersionHistory.TestCase
