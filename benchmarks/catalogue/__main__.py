"""`python -m benchmarks.catalogue`: real catalogue data through the gate, scored by field.

Evaluates and releases a zero-shot version, then evaluates one with worked examples beside it, on
the model that `PROMPT_HUB_MODELS` names (`make up` starts a local one and writes
`.local/models.json`), and makes the report page. Everything goes through the command line that
people use.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.catalogue.repository import TASK, chosen, parts, write
from prompt_hub.core import aws_names

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run both evaluations and make the page; ends with the second evaluation's exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.catalogue", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data" / "jlcpcb_parts.jsonl",
        help="JSON lines of real parts",
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "bench-catalogue")
    parser.add_argument("--per-class", type=int, default=10, help="examples scored of a class")
    parser.add_argument("--shots", type=int, default=2, help="worked examples of a class")
    arguments = parser.parse_args()
    if not arguments.data.is_file():
        print(f"{arguments.data} is not there: name a data file with --data.", file=sys.stderr)
        return 2
    examples = list(chosen(parts(arguments.data), arguments.per_class, arguments.shots))
    shots = sum(line["split"] == "shot" for line in examples)
    print(f"{len(examples) - shots} real parts to score, {shots} to show")

    root: Path = arguments.folder
    hub = Hub(root)
    if not (root / "prompts" / "02-production" / f"{TASK}.yaml").exists():
        write(root, "1.0.0", examples, shots)
        hub("validate", "--stamp", TASK)
        hub("evaluate", TASK)
        hub("promote", "promote", TASK)
    write(root, "1.1.0", examples, shots)
    hub("validate", "--stamp", TASK)
    code = hub("evaluate", TASK, ends_with=(0, 1, 4))
    page = root / "report.html"
    hub("report", "evaluation", TASK, "--html", str(page))
    print(f"report: {page}")
    return code


class Hub:
    """The command line, on the repository in one folder."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "prompts").mkdir(exist_ok=True)
        self._environment = {
            **os.environ,
            aws_names.ENV_ROOT: str(root),
            "PYTHONPATH": str(ROOT / "pipeline_image"),
        }

    def __call__(self, *words: str, ends_with: tuple[int, ...] = (0,)) -> int:
        """Run one command; any other ending than those named ends the benchmark."""
        print("$ prompt-hub", *words, flush=True)
        command = [sys.executable, "-m", "prompt_hub.cli", *words]
        code = subprocess.run(command, env=self._environment, check=False).returncode
        if code not in ends_with:
            sys.exit(code)
        return code


if __name__ == "__main__":
    sys.exit(main())
