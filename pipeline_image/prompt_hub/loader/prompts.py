"""`Prompts`: the active prompts of a stage, looked up in this process."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.stage_session import table_of
from prompt_hub.ledger.table import Ledger
from prompt_hub.loader.active_prompt import ActivePrompt
from prompt_hub.loader.follower import STARTING, Follower, LogReporter, OwnConnection
from prompt_hub.release.carried import CarriedHashes, carried_prompts
from prompt_hub.release.ledger_poller import (
    SNAPSHOT_AFTER_SECONDS,
    LedgerPoller,
    PointerSource,
    Reporter,
    ServedVersion,
    ServingState,
)
from prompt_hub.release.manifest import load
from prompt_hub.repository.reader import PromptRepository


class Prompts:
    """The active prompts of one stage; a context manager, and an async one.

    Looking a prompt up never waits: a thread follows the ledger. All threads and event loops of a
    process may share one, and it goes on following in processes that are forked from this one.
    """

    def __init__(
        self,
        stage: str | None = None,
        *,
        root: str | Path | None = None,
        table: str | None = None,
        poll_seconds: float | None = None,
        snapshot_after: float = SNAPSHOT_AFTER_SECONDS,
        report: Reporter | None = None,
        connect: Callable[[], PointerSource] | None = None,
    ) -> None:
        """Say what to follow; nothing is read before `start`, or before it is entered.

        Args:
            stage: the stage's name; by default `PROMPT_HUB_STAGE`.
            root: the folder of `prompts` and `release.json`; by default `PROMPT_HUB_ROOT`, or the
                working directory.
            table: the ledger's table; by default `PROMPT_HUB_LEDGER_TABLE`, or that of the stage.
            poll_seconds: seconds between two looks; by default `PROMPT_HUB_POLL_SECONDS`, or 5.
            snapshot_after: seconds that a start waits for a ledger that does not answer, before it
                takes what the folder's release says.
            report: hears of changes and of trouble; by default they are logged.
            connect: returns another source of pointers; called once in each process.

        Raises:
            PromptHubError: no stage is named, or `poll_seconds` is no time.
        """
        environment = os.environ
        self.stage = stage or environment.get(aws_names.ENV_STAGE, "")
        if not self.stage:
            raise PromptHubError(
                "no stage is named.", hint=f"Name one, or set {aws_names.ENV_STAGE}."
            )
        named = table or environment.get(aws_names.ENV_LEDGER_TABLE)
        self._table = named or table_of(self.stage, root)
        self._poll_seconds = _poll_seconds(poll_seconds)
        self._snapshot_after = snapshot_after
        self._root = root
        self._report = report or LogReporter()
        self._connect = connect or (lambda: Ledger.connect(self._table))
        self._instance = uuid.uuid4().hex[:12]
        self._follower: Follower | None = None

    def start(self) -> Self:
        """Read the folder, look at the ledger, and follow it from then on.

        Returns when the ledger has answered, or when the snapshot has taken its place.

        Raises:
            PromptHubError: the folder lacks prompts or does not hold what its release promises, or
                the ledger is followed already.
        """
        self._start(threading.Event())
        return self

    def close(self) -> None:
        """Stop following; what was looked up before can still be used."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        stop = threading.Event()
        try:
            await asyncio.to_thread(self._start, stop)
        except asyncio.CancelledError:
            # The thread cannot be cancelled; it stops by itself, whatever it is at.
            self._give_up(stop)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def __getitem__(self, task: str) -> ActivePrompt:
        """Return the version of `task` that is active now.

        Raises:
            UnservedTaskError: there is none here, and `why` says why not.
        """
        follower = self._following
        return self._active(follower, task, follower.poller.find(task, self.stage))

    def __contains__(self, task: object) -> bool:
        """Whether `task` has an active version here now."""
        return task in self.state.served

    def __iter__(self) -> Iterator[str]:
        """Iterate over the tasks that have an active version here now, by name."""
        return iter(sorted(self.state.served))

    def active(self) -> Mapping[str, ActivePrompt]:
        """Return all active prompts of one moment, for work that takes several of them."""
        follower = self._following
        served = follower.poller.state.served
        return {
            task: self._active(follower, task, version) for task, version in sorted(served.items())
        }

    @property
    def release(self) -> str:
        """The release that the folder holds; `checkout` in a clone."""
        return self._following.release.release

    @property
    def state(self) -> ServingState:
        """What is active, what is refused, and whether the ledger answers: one moment, whole."""
        return self._following.poller.state

    @property
    def ready(self) -> bool:
        """Whether a new process with these prompts may replace an old one, as `/readyz` says it."""
        return self.state.ready

    @property
    def _following(self) -> Follower:
        if self._follower is None:
            raise PromptHubError(
                "the ledger is not followed.", hint="Enter these prompts by `with`, or start them."
            )
        return self._follower

    def _active(self, follower: Follower, task: str, served: ServedVersion) -> ActivePrompt:
        return ActivePrompt(
            stage=self.stage,
            release=follower.release.release,
            instance=self._instance,
            served=served,
            _version=follower.version(task, served.reference.version),
        )

    def _start(self, stop: threading.Event) -> None:
        self._check_not_followed()
        given = None if self._root is None else {aws_names.ENV_ROOT: str(self._root)}
        repository = PromptRepository.from_environment(given)
        release = load(repository.root)
        hashes, source = CarriedHashes.of(release), OwnConnection(self._connect)
        prompts = carried_prompts(repository, hashes)
        follower = Follower(
            release,
            prompts,
            LedgerPoller(
                hashes, source, self._report, prompts, snapshot_after=self._snapshot_after
            ),
            self._poll_seconds,
        )
        if not follower.settle(stop):
            return
        # A look takes its time: meanwhile this start may have been given up, another have ended.
        with STARTING:
            if stop.is_set():
                return
            self._check_not_followed()
            follower.follow(stop)
            self._follower = follower

    def _check_not_followed(self) -> None:
        if self._follower is not None:
            raise PromptHubError("the ledger is followed already.")

    def _give_up(self, stop: threading.Event) -> None:
        """End the start that was given `stop`, even one that has just succeeded."""
        with STARTING:
            stop.set()
            if self._follower is not None and self._follower.stopped:
                self._follower = None


def _poll_seconds(chosen: float | None) -> float:
    text = os.environ.get(aws_names.ENV_POLL_SECONDS, str(aws_names.POLL_SECONDS))
    try:
        seconds = float(text) if chosen is None else chosen
    except ValueError:
        seconds = 0.0
    # A thread cannot wait for ever, and would end.
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        found = repr(text if chosen is None else chosen)
        raise PromptHubError(
            f"{found} is no time between two looks at the ledger; expected more than 0 seconds.",
            hint=f"Give poll_seconds, or mend {aws_names.ENV_POLL_SECONDS}.",
        )
    return seconds
