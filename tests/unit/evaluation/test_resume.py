"""`kill -9` in the middle of a real `prompt-hub evaluate`: the next run goes on where it died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.faulty_provider import TOKENS, FaultyProvider, faulty_provider

EXAMPLES = 200
IN_FLIGHT = 8
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(healthy: RepositoryFolder) -> RepositoryFolder:
    """One task with many examples and no champion."""
    lines = healthy.read("prompts/01-examples/part-class.jsonl").splitlines()
    shots = [line for line in lines if json.loads(line)["split"] == "shot"]
    scored = [
        json.dumps(
            {
                "id": f"part-{number}",
                "input": {"part_number": f"P{number}", "title": "Resistor"},
                "expected": {"part_class": "resistor"},
            }
        )
        for number in range(EXAMPLES)
    ]
    healthy.write("prompts/01-examples/part-class.jsonl", "\n".join([*shots, *scored]) + "\n")
    healthy.path("prompts/02-production/part-class.yaml").unlink()
    metadata = healthy.read("prompts/03-metadata/part-class.yaml")
    # One look at everything: the gate would be content with less.
    everything = metadata.replace("gate: {", f"gate: {{first_look: {EXAMPLES}, ")
    healthy.write("prompts/03-metadata/part-class.yaml", everything)
    return healthy


def start(
    folder: RepositoryFolder, provider: FaultyProvider, *options: str
) -> subprocess.Popen[bytes]:
    command = ["evaluate", "part-class", "--json", "--concurrency", str(IN_FLIGHT), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "prompt_hub.cli", *command],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "pipeline_image"),
            "PROMPT_HUB_ROOT": str(folder.root),
            "PROMPT_HUB_MODELS": provider.models,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder.root,
    )


def wait_for(provider: FaultyProvider, answers: int) -> None:
    deadline = time.monotonic() + 30
    while sum(provider.answered.values()) < answers:
        assert time.monotonic() < deadline, "the run did not get so far"
        time.sleep(0.005)


@pytest.mark.processes
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_run_that_dies_is_gone_on_with_and_pays_only_for_what_was_in_flight(
    folder: RepositoryFolder, how: signal.Signals
) -> None:
    with faulty_provider(delay=0.02, faults=0.01) as provider:
        first = start(folder, provider)
        wait_for(provider, 80)
        first.send_signal(how)
        _, data = first.communicate(timeout=30)
        if how is signal.SIGINT:
            assert first.returncode == 130
            assert b"run the same command again to go on" in data
            assert b"Traceback" not in data
        else:
            assert first.returncode == -signal.SIGKILL
        died_at = sum(provider.answered.values())
        assert died_at < EXAMPLES
        second = start(folder, provider)
        output, data = second.communicate(timeout=60)
    (record,) = json.loads(output)
    assert second.returncode in {0, 1}, data.decode()
    assert record["candidate"]["n"] == EXAMPLES
    assert record["candidate"]["unmeasured"] == 0
    assert record["candidate"]["tokens_in"] == EXAMPLES * TOKENS[0]
    assert record["candidate"]["tokens_out"] == EXAMPLES * TOKENS[1]
    # Every example has an answer, and only those in flight at the death were paid for again.
    assert len(provider.answered) == EXAMPLES
    paid_again = sum(provider.answered.values()) - EXAMPLES
    assert 0 <= paid_again <= IN_FLIGHT
    details = folder.root / ".prompt-hub/results/evaluations/local/part-class.jsonl"
    lines = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines) == EXAMPLES
    cached = sum(line.get("cached", False) for line in lines)
    assert died_at - IN_FLIGHT <= cached <= died_at
    assert record["candidate"]["cached"] == cached
    assert f"{cached} answers stored by an earlier run" in data.decode()
