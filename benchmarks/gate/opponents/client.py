"""Asks the opponents, in an environment of their own: nothing of theirs is in our locks."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[2] / ".local" / "bench-gate"
PYTHON = ENVIRONMENT / "bin" / "python"
NAMES = ("bca", "paired t", "evalsig")


def install() -> None:
    """Install the pinned opponents once; raises `CalledProcessError` where that cannot be done."""
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    done = ENVIRONMENT / "installed.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return
    print("installing the opponents ...", file=sys.stderr)
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    quiet = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*quiet, "-r", str(HERE / "requirements.txt")], check=True)
    done.write_text(wanted, encoding="utf-8")


def verdicts(
    differences: Sequence[float], weights: Sequence[float], margin: float, alpha: float
) -> Mapping[str, bool]:
    """Return by rule whether it passes these differences."""
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    question = {"differences": differences, "weights": weights, "margin": margin, "alpha": alpha}
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer: Mapping[str, bool] = json.loads(process.stdout.readline())
    return answer


@cache
def _process() -> subprocess.Popen[str]:
    """Return the opponents' process of this worker; it ends with the worker's end of the pipe."""
    return subprocess.Popen(
        [str(PYTHON), str(HERE / "rules.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
