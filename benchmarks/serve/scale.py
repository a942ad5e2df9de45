"""A very large image: 10,000 tasks of 20 versions, and what it costs to serve it.

The versions are those of the small tree under other names, each with a text and a lock of its own.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.eval import task
from benchmarks.eval.measuring import ROOT, MeasurementError
from benchmarks.results import Ratio
from benchmarks.serve import gateways, pauses
from benchmarks.serve.ledger import LedgerServer
from benchmarks.serve.processes import Server
from benchmarks.serve.repository import COMMIT
from prompt_hub.core import aws_names
from prompt_hub.release.manifest import CarriedTask, Release
from prompt_hub.repository.reader import ARCHIVE, EXAMPLES, METADATA, PRODUCTION, PromptRepository
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.schema import Prompt

MOVED = 1000
"""Pointers that one change moves, if it is not a single one."""
CALLED = 3000
"""Tasks that calls go to in turn: more than a service holds parsed."""
_CALL_SECONDS = 20
_LOOK_SECONDS = 0.3
_FOLLOWED_SECONDS = 60


def build(small: Path, root: Path, tasks: int, versions: int) -> Release:
    """Make the tree below `root` of the one released task in `small`, and its manifest."""
    repository = PromptRepository(small)
    prompt = repository.production(task.TASK)
    manifest = Release.model_validate_json((small / aws_names.RELEASE_FILE).read_text("utf-8"))
    if prompt is None:
        raise MeasurementError("the small tree has no champion")
    champion = manifest.tasks[task.TASK].versions[0]
    metadata = (repository.path(METADATA, f"{task.TASK}.yaml")).read_text("utf-8")
    example = repository.path(EXAMPLES, f"{task.TASK}.jsonl").read_text("utf-8").splitlines()[0]
    template = _template(prompt)
    for layer in (EXAMPLES, PRODUCTION, METADATA):
        (root / "prompts" / layer).mkdir(parents=True)
    carried: dict[str, CarriedTask] = {}
    for number in range(tasks):
        name = f"bench-part-{number}"
        prompts = root / "prompts"
        (prompts / METADATA / f"{name}.yaml").write_text(metadata.replace(task.TASK, name))
        (prompts / EXAMPLES / f"{name}.jsonl").write_text(example + "\n")
        (prompts / ARCHIVE / name).mkdir(parents=True)
        entries = []
        for minor in reversed(range(versions)):
            version, newest = f"1.{minor}.0", minor == versions - 1
            sha256 = _content(prompt, name, version).sha256
            place = f"{PRODUCTION}/{name}.yaml" if newest else f"{ARCHIVE}/{name}/{version}.yaml"
            text = template.replace("@TASK", name).replace("@VERSION", version)
            (prompts / place).write_text(text.replace("@SHA256", sha256))
            state = VersionState.RELEASED if newest else VersionState.SUPERSEDED
            changes = {"version": version, "sha256": sha256, "state": state}
            entries.append(champion.model_copy(update=changes))
        carried[name] = CarriedTask(champion=entries[0].version, versions=tuple(entries))
    release = manifest.model_copy(update={"tasks": carried, "commit": COMMIT})
    (root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")
    return release


def _content(prompt: Prompt, name: str, version: str) -> Prompt:
    first = prompt.messages[0]
    told = first.model_copy(update={"content": f"{first.content} This is {name} {version}."})
    return prompt.model_copy(
        update={
            "task": name,
            "version": version,
            "messages": (told, *prompt.messages[1:]),
            "lock": None,
        }
    )


def _template(prompt: Prompt) -> str:
    value = _content(prompt, "@TASK", "@VERSION").to_file()
    assert prompt.lock is not None
    lock: dict[str, Any] = prompt.lock.model_dump(mode="json")
    text: str = yaml.safe_dump(
        {**value, "lock": {**lock, "sha256": "@SHA256"}}, sort_keys=False, allow_unicode=True
    )
    return text


def measure(folder: Path, model_url: str, tasks: int, versions: int) -> list[Ratio]:
    """Serve so many versions: calls of many tasks, a change of many pointers, calls again."""
    root = folder / "large"
    release = build(folder / "repository", root, tasks, versions)
    names = sorted(release.tasks)
    with LedgerServer(release) as ledger:
        settings = gateways.service_settings(root, model_url, ledger.url)
        server, target = gateways.service("scale", ROOT, sys.executable, folder, settings)
        requests = _spread(target.requests, names[:: max(1, tasks // CALLED)])
        with _peak(server) as peak, server:
            _call(target, requests)
            moved = {name: release.tasks[name].versions[-1].reference for name in names[:MOVED]}
            last = ledger.move_all(moved)
            _await(target, last)
            _call(target, requests)
    print(
        f"{tasks:,} tasks of {versions} versions: ready after {server.start_cpu:.1f} s of CPU"
        f" ({server.start_seconds:.0f} s) with {server.start_mb:.0f} MB, at most {peak[-1]:.0f} MB"
    )
    paused = pauses.measure(folder, root, release, settings, [names[:1], names[:MOVED]])
    what = f"{tasks:,} tasks × {versions} versions"
    return [
        Ratio(
            name=f"MB at most, the whole process tree, {what}",
            value=peak[-1],
            limit=500.0,
            at_most=True,
            measured=f"{server.start_mb:.0f} MB when ready",
        ),
        Ratio(
            name=f"CPU-seconds from start to ready, {what}",
            value=server.start_cpu,
            limit=30.0,
            at_most=True,
            measured=f"{server.start_cpu * 1e6 / tasks / versions:.0f} µs a version",
        ),
        *paused,
    ]


@contextmanager
def _peak(server: Server) -> Iterator[list[float]]:
    """Look at what memory a server takes, from its start to its end; the most stands last."""
    most, stop = [0.0], threading.Event()

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            if server.started:
                most.append(max(most[-1], server.resident_mb()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def _spread(file: Path, names: Sequence[str]) -> Path:
    """Let the requests in a file go to these tasks in turn."""
    requests = json.loads(file.read_text("utf-8"))
    spread = [
        requests[place % len(requests)].replace(f"/{task.TASK}/", f"/{name}/", 1)
        for place, name in enumerate(names)
    ]
    file.write_text(json.dumps(spread), encoding="utf-8")
    return file


def _call(target: gateways.Target, requests: Path) -> None:
    if replace(target, requests=requests).call(16, _CALL_SECONDS).requests < CALLED:
        raise MeasurementError(f"fewer than {CALLED:,} calls were answered")


def _await(target: gateways.Target, revision: int) -> None:
    deadline = time.monotonic() + _FOLLOWED_SECONDS
    while True:
        url = f"http://127.0.0.1:{target.port}/v1/tasks"
        with urllib.request.urlopen(url, timeout=_FOLLOWED_SECONDS) as answer:
            listed = json.load(answer)
        if listed["ledger"]["revision"] == revision:
            return
        if time.monotonic() > deadline:
            raise MeasurementError("the service did not follow the ledger")
        time.sleep(0.2)
