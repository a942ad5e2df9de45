"""The servers that are compared: this service, the tree before, and two gateways of a registry.

What a gateway is asked is the request that the service puts to its model, already rendered: it has
no prompts, no contracts and no ledger to look after.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from benchmarks.eval import task
from benchmarks.eval.measuring import ROOT, MeasurementError, bare_environment
from benchmarks.serve.ledger import TABLE
from benchmarks.serve.processes import Server
from benchmarks.serve.repository import models
from prompt_hub.core import aws_names

LITELLM_VERSION = "1.108.7"
INSTALLED = ROOT / ".local" / "bench-serve"
NODE_PACKAGES = Path(__file__).parent
_LITELLM_KEY = "sk-bench-" + "0123456789abcdef" * 2
"""LiteLLM does not start without a key; nothing else knows this one."""
RECORDS = 500
"""So many different records are asked about, in turn."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What callers found: answers and seconds of a run, and how long each answer took."""

    requests: int
    wall: float
    milliseconds: list[float]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where callers call, and what they send."""

    name: str
    port: int
    requests: Path
    """A file with a JSON list of whole HTTP requests."""

    def call(self, callers: int, seconds: float) -> Calls:
        """Let callers call for so long, in a process of their own.

        Raises:
            MeasurementError: they failed, or an answer was not 200.
        """
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.serve.callers"),
                *(str(self.port), str(self.requests), str(callers), str(seconds)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MeasurementError(f"the callers of {self.name} failed: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        if found["statuses"] != {"200": found["requests"]}:
            raise MeasurementError(f"{self.name} answered {found['statuses']}: {found['example']}")
        return Calls(**{field.name: found[field.name] for field in fields(Calls)})


def direct(port: int, folder: Path) -> Target:
    """The bare call: the model itself."""
    return _chat("bare call", port, folder, {"Authorization": "Bearer none"}, task.MODEL)


def service(
    name: str, tree: Path, python: Path | str, folder: Path, settings: Mapping[str, str]
) -> tuple[Server, Target]:
    """The service of one tree, as its image starts it."""
    port = _free_port()
    short = name.split()[0]
    server = Server(
        name,
        [python, "-m", "prompt_hub.cli", "serve", "--port", str(port)],
        environment={
            **bare_environment(folder / "home", settings),
            "PYTHONPATH": str(tree / "pipeline_image"),
        },
        ready=f"http://127.0.0.1:{port}/readyz",
        folder=folder,
        cwd=tree,
    )
    bodies = [{"fields": item.fields} for item in task.items(RECORDS)]
    path = f"/v1/tasks/{task.TASK}/run"
    return server, Target(
        name=name, port=port, requests=_file(folder / f"{short}.json", path, {}, bodies)
    )


def service_settings(root: Path, model_url: str, ledger_url: str) -> dict[str, str]:
    """The environment of a service."""
    return {
        aws_names.ENV_ROOT: str(root),
        aws_names.ENV_MODELS: models(model_url),
        aws_names.ENV_STAGE: "bench",
        aws_names.ENV_LEDGER_TABLE: TABLE,
        "AWS_ENDPOINT_URL": ledger_url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PYTHONUNBUFFERED": "1",
    }


def litellm(folder: Path, model_url: str) -> tuple[Server, Target]:
    """LiteLLM's proxy, pinned, in a virtual environment of its own; its defaults, no database."""
    python = INSTALLED / f"litellm-{LITELLM_VERSION}" / "bin" / "python"
    if not python.exists():
        print(f"LiteLLM {LITELLM_VERSION} is installed once ...", flush=True)
        uv = [sys.executable, "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])])
        wanted = f"litellm[proxy]=={LITELLM_VERSION}"
        try:
            _run([*uv, "pip", "install", "--quiet", "--python", str(python), wanted])
        except BaseException:
            shutil.rmtree(python.parents[1], ignore_errors=True)
            raise
    settings = folder / "litellm.json"
    model = {"model": f"openai/{task.MODEL}", "api_base": model_url, "api_key": "none"}
    listed = {"model_list": [{"model_name": task.MODEL, "litellm_params": model}]}
    # YAML reads JSON.
    settings.write_text(json.dumps(listed), encoding="utf-8")
    port = _free_port()
    name = f"LiteLLM {LITELLM_VERSION}"
    server = Server(
        name,
        [
            *(python.with_name("litellm"), "--config", settings),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        environment=bare_environment(
            folder / "home",
            {
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOG": "ERROR",
                "LITELLM_MASTER_KEY": _LITELLM_KEY,
            },
        ),
        ready=f"http://127.0.0.1:{port}/health/liveliness",
        folder=folder,
        cwd=folder,
    )
    headers = {"Authorization": f"Bearer {_LITELLM_KEY}"}
    return server, _chat(name, port, folder, headers, task.MODEL)


def portkey(folder: Path, model_url: str) -> tuple[Server, Target]:
    """Portkey's gateway, pinned by package-lock.json, on Node."""
    script = NODE_PACKAGES / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if not script.exists():
        print("Portkey's gateway is installed once ...", flush=True)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=NODE_PACKAGES)
    package = json.loads((script.parents[1] / "package.json").read_text("utf-8"))
    name = f"Portkey {package['version']}"
    port = _free_port()
    node = shutil.which("node")
    if node is None:
        raise MeasurementError("there is no node: Portkey's gateway needs it.")
    server = Server(
        name,
        [node, script, f"--port={port}", "--headless"],
        environment=bare_environment(folder / "home", {"NODE_ENV": "production"}),
        ready=f"http://127.0.0.1:{port}/",
        folder=folder,
        cwd=folder,
    )
    headers = {
        "Authorization": "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": model_url,
    }
    return server, _chat(name, port, folder, headers, task.MODEL)


def _chat(name: str, port: int, folder: Path, headers: Mapping[str, str], model: str) -> Target:
    bodies = [{**item.request, "model": model} for item in task.items(RECORDS)]
    file = folder / f"{name.split()[0]}.requests.json"
    return Target(
        name=name, port=port, requests=_file(file, "/v1/chat/completions", headers, bodies)
    )


def _file(
    path: Path, url: str, headers: Mapping[str, str], bodies: Sequence[Mapping[str, object]]
) -> Path:
    requests = []
    for body in bodies:
        text = json.dumps(body)
        lines = [
            f"POST {url} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(text)}",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        requests.append("\r\n".join(lines) + "\r\n\r\n" + text)
    path.write_text(json.dumps(requests), encoding="utf-8")
    return path


def _run(command: Sequence[str], cwd: Path = ROOT) -> None:
    done = subprocess.run(list(command), cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise MeasurementError(f"{' '.join(command[:4])} failed:\n{last}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])
