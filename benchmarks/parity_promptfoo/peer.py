"""promptfoo's side: many configurations through its own command line, in few processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.eval.measuring import MeasurementError, bare_environment
from benchmarks.eval.peers import promptfoo

_DRIVER = Path(__file__).with_name("driver.mjs")
_MARK = "\x01parity "
_RESULTS = "promptfoo-results.json"
_FLAGS = ("--no-write", "--no-cache", "--no-table", "--no-progress-bar", "--no-share", "-j", "1")
_ERROR = 2
"""promptfoo's `ResultFailureReason.ERROR`; 1 is an assertion that failed."""
_SECONDS = 1800.0


@dataclass(frozen=True)
class PeerTest:
    """One test of one prompt: its variables, which request it made, whether it passed."""

    prompt: int
    key: str
    call: int
    passed: bool
    answer: str
    reason: str
    broken: bool
    """It ended with an error of promptfoo's own, not with a verdict."""
    failed: tuple[str, ...] = ()
    """The types of the assertions that did not hold."""


@dataclass(frozen=True)
class PeerRun:
    """What promptfoo said of one configuration; `failure` is empty where it ran."""

    tests: tuple[PeerTest, ...]
    prompts: int
    failure: str = ""


def run(folders: Sequence[tuple[Path, str, str]], home: Path) -> list[PeerRun]:
    """Run promptfoo on every (folder, configuration's name, base URL of its model), in order.

    Raises:
        MeasurementError: promptfoo cannot be installed, or the process of all runs died.
    """
    node = promptfoo.install()
    # Node knows a module by its real path, whatever links lead there.
    entry = (promptfoo.NODE_MODULES / "promptfoo" / "dist" / "src" / "main.js").resolve()
    jobs = "".join(
        json.dumps(
            {
                "folder": str(folder),
                "arguments": ["eval", "-c", name, "-o", str(folder / _RESULTS), *_FLAGS],
                "environment": {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"},
            }
        )
        + "\n"
        for folder, name, url in folders
    )
    settings = {**promptfoo.QUIET, "PROMPTFOO_CONFIG_DIR": str(home / "promptfoo")}
    done = subprocess.run(
        [node, _DRIVER, entry],
        input=jobs,
        env=bare_environment(home, settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    said = [line for line in done.stdout.split("\n") if line.startswith(_MARK)]
    if len(said) != len(folders):
        tail = (done.stderr or done.stdout)[-2000:]
        raise MeasurementError(f"promptfoo ended after {len(said)} of {len(folders)} runs:\n{tail}")
    runs = [
        _read(folder, json.loads(line.removeprefix(_MARK)))
        for (folder, _, _), line in zip(folders, said, strict=True)
    ]
    if all(run.failure for run in runs):
        raise MeasurementError(f"promptfoo ran none of the configurations:\n{runs[0].failure}")
    return runs


def _read(folder: Path, outcome: dict[str, object]) -> PeerRun:
    path = folder / _RESULTS
    if not path.exists():
        return PeerRun((), 0, str(outcome["printed"])[-1500:] or "no results")
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    tests = []
    provider = None
    for result in results["results"]:
        identity = result["provider"].get("label") or result["provider"]["id"]
        provider = identity if provider is None else provider
        if identity != provider:  # A task has one model, the first.
            continue
        response = result.get("response") or {}
        grading = result.get("gradingResult") or {}
        tests.append(
            PeerTest(
                prompt=result["promptIdx"],
                key=str(result["vars"].get("key", "")),
                call=(response.get("tokenUsage") or {}).get("prompt") or 0,
                passed=bool(result["success"]),
                answer=json.dumps(response.get("output"), ensure_ascii=False),
                reason=str(result.get("error") or grading.get("reason") or ""),
                broken=result.get("failureReason") == _ERROR,
                failed=tuple(
                    str((part.get("assertion") or {}).get("type", ""))
                    for part in grading.get("componentResults") or ()
                    if not part["pass"]
                ),
            )
        )
    return PeerRun(tuple(tests), len({prompt["raw"] for prompt in results["prompts"]}))
