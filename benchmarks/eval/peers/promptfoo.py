"""promptfoo, pinned by `package-lock.json`, on the same records and the same mock model."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from benchmarks.eval import task
from benchmarks.eval.measuring import MeasurementError, bare_environment
from benchmarks.eval.task import Outcome

HERE = Path(__file__).resolve().parents[1]
"""Where `package.json` lies; what it names is installed beside it, two gigabytes."""
NODE_MODULES = HERE / "node_modules"
OLDEST_NODE = (22, 22)
_INSTALL_SECONDS = 1800.0

QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_DEBUG_LOG": "true",
    "PROMPTFOO_DISABLE_ERROR_LOG": "true",
    "PROMPTFOO_CACHE_ENABLED": "false",
    "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
}
"""Nothing but the evaluation itself; a tenth of the tests fails, as it should."""


def install() -> Path:
    """Install what the lock names, once; returns the Node that it runs on.

    Raises:
        MeasurementError: npm is missing, the installation failed, or Node is too old.
    """
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((HERE / name).read_bytes())
    stamp = NODE_MODULES / ".stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest.hexdigest():
        print("promptfoo: installing (a minute or two, 2 GB) ...", flush=True)
        _npm_ci()
        stamp.write_text(digest.hexdigest(), encoding="utf-8")
    return _node()


def _npm_ci() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise MeasurementError(
            "npm is not on the PATH, so promptfoo cannot be measured: install Node.js 22 or newer."
        )
    try:
        # No package of the tree needs its scripts here: they fetch browsers and the like.
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        words = f"npm did not install promptfoo within {_INSTALL_SECONDS:.0f} s: run it again."
        raise MeasurementError(words) from None
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise MeasurementError(f"npm could not install promptfoo, see its last words:\n{tail}")


def _node() -> Path:
    """The pinned Node where it exists for this platform, else the one on the PATH."""
    pinned = sorted(NODE_MODULES.glob("node-*/bin/node"))
    found = str(pinned[0]) if pinned else shutil.which("node")
    if found is None:
        raise MeasurementError("there is no Node for promptfoo: install Node.js 22.22 or newer.")
    message = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = tuple(map(int, re.findall(r"\d+", message)[:2]))
    if version < OLDEST_NODE:
        words = f"promptfoo needs Node 22.22 or newer, this is {message.strip() or 'not running'}."
        raise MeasurementError(words)
    return Path(found)


class Promptfoo:
    """One configuration below `folder`: the same records, prompt, parameters and labels."""

    def __init__(self, folder: Path, examples: int, node: Path) -> None:
        self._folder = folder
        self._examples = examples
        self._node = node
        self.kept = folder / "promptfoo"
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """No telemetry, no update check, no sharing, no cache; its own database."""
        settings = {**QUIET, "PROMPTFOO_CONFIG_DIR": str(self.kept)}
        return bare_environment(self._folder / "home", settings)

    def forget(self) -> None:
        """As if it had never run."""
        shutil.rmtree(self.kept, ignore_errors=True)

    def command(self, base_url: str) -> list[str | Path]:
        """Writes the configuration for the mock model at `base_url`; returns the command."""
        config = self._folder / "promptfooconfig.json"
        config.write_text(json.dumps(self._config(base_url)), encoding="utf-8")
        entry = NODE_MODULES / "promptfoo" / "dist" / "src" / "entrypoint.js"
        flags = ["--no-cache", "--no-table", "--no-progress-bar", "--no-share"]
        return [self._node, entry, "eval", "-c", config, "-j", str(task.IN_FLIGHT), *flags]

    def outcome(self) -> Outcome:
        """What its database says of the last run: an error is a missing result."""
        right = wrong = missing = 0
        with closing(sqlite3.connect(self.kept / "promptfoo.db")) as database:
            query = "select success, failure_reason, count(*) from eval_results group by 1, 2"
            for success, reason, count in database.execute(query):
                # 0 none, 1 an assertion failed, 2 an error.
                if success:
                    right += count
                elif reason == 1:
                    wrong += count
                else:
                    missing += count
        return Outcome(right, wrong, missing + self._examples - right - wrong - missing)

    def _config(self, base_url: str) -> dict[str, object]:
        prompt = [
            {"role": "system", "content": task.SYSTEM},
            {"role": "user", "content": task.USER},
        ]
        return {
            "description": "The benchmark's one task",
            "prompts": [{"label": task.TASK, "raw": json.dumps(prompt)}],
            "providers": [
                {
                    "id": f"openai:chat:{task.MODEL}",
                    "config": {
                        "apiBaseUrl": base_url,
                        "apiKey": "none",
                        "response_format": task.RESPONSE_FORMAT,
                        **task.PARAMETERS,
                    },
                }
            ],
            "defaultTest": {"assert": [{"type": "is-json"}]},
            "tests": [
                {
                    "vars": item.fields,
                    "assert": [{"type": "equals", "value": item.expected}],
                }
                for item in task.items(self._examples)
            ],
        }
