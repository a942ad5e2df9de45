"""The service of this tree on an image and a ledger of the previous one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.unit.batch.servers import completion, serving
from tests.unit.building import catalogue_answer
from tests.unit.compatibility.cloud import Cloud
from tests.unit.compatibility.previous_tree import (
    FOLDER,
    Copy,
    Json,
    ledger_items,
    models_at,
    read_lines,
)

TIMEOUT_SECONDS = 30.0
"""Seconds for a process to start, on a machine that does something else."""


def ask(url: str, body: Json | None = None) -> Json:
    """The JSON answer to GET, or to POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as answer:
        found: Json = json.load(answer)
    return found


@pytest.mark.processes
def test_what_was_active_is_served_and_logged_under_the_names_of_then(
    previous: Copy, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    def respond(path: str, sent: Json) -> tuple[int, object]:
        return 200, completion(json.dumps(catalogue_answer(sent["messages"])))

    with serving(respond) as model, (tmp_path / "log.jsonl").open("w") as log:
        monkeypatch.setenv("PROMPT_HUB_MODELS", models_at(model))
        command = [sys.executable, "-m", "prompt_hub.cli", "serve", "--port", str(port)]
        service = subprocess.Popen(command, stdout=log, env=dict(os.environ))
        try:
            until = time.monotonic() + TIMEOUT_SECONDS
            while True:
                try:
                    ask(f"{url}/readyz")
                    break
                except URLError:
                    assert service.poll() is None, "the service ended"
                    assert time.monotonic() < until, "the service is not ready"
                    time.sleep(0.05)
            tasks = ask(f"{url}/v1/tasks")
            fields = {"part_number": "BAT54", "title": "Schottky diode 30 V 200 mA SOT-23"}
            answer = ask(f"{url}/v1/tasks/part-class/run", {"fields": fields})
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(TIMEOUT_SECONDS)
    active = {
        item["sk"]["S"]: (item["version"]["S"], item["sha256"]["S"], "ledger")
        for item in ledger_items("dev")
        if item["pk"]["S"] == "ACTIVE" and not item["retired"]["BOOL"]
    }
    served = {
        task["task"]: (task["version"], task["sha256"], task["source"]) for task in tasks["tasks"]
    }
    assert served == active
    assert (tasks["release"], tasks["refused"]) == ("execution-7", [])
    assert answer["output"] == {"part_class": "diode"}
    now, then = (
        {line["event"]: line for line in read_lines(path) if line.get("outcome", "ok") == "ok"}
        for path in (tmp_path / "log.jsonl", FOLDER / "execution-log.jsonl")
    )
    for event in ("started", "stopped", "pointer_moved", "prompt_call"):
        assert then[event].keys() <= now[event].keys()
    assert now["prompt_call"]["sha256"] == active["part-class"][1]
