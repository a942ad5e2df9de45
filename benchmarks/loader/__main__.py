"""`python -m benchmarks.loader`: look-up and rendering of the active prompt, beside its peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.eval.measuring import MeasurementError
from benchmarks.eval.printing import table
from benchmarks.results import ROOT, Ratio, record
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import render
from prompt_hub.repository.schema import JsonObject, Prompt

TASK = "brand"
"""A champion with eight worked examples, whose templates Langfuse's language has, too."""
LANGFUSE = "5.0.4"
PEERS = ROOT / ".local" / "bench-loader"
RUNS = 5
MOST_MICROSECONDS = 50.0

Figures = Mapping[str, float]


def main() -> int:
    """Measure all sides in turn and record the ratios; 2 where one cannot be measured."""
    try:
        asked = json.dumps(_questions())
        python = {"ours": Path(sys.executable), "plain_jinja": Path(sys.executable)}
        python["langfuse_peer"] = _langfuse()
        runs: dict[str, list[Figures]] = {side: [] for side in python}
        for _ in range(RUNS):
            for side, interpreter in python.items():
                runs[side].append(_run(interpreter, side, asked))
    except MeasurementError as error:
        print(f"bench-loader: {error}", file=sys.stderr)
        return 2
    found = {
        side: {name: median(run[name] for run in of_side) for name in of_side[0]}
        for side, of_side in runs.items()
    }
    names = {
        "ours": "prompt_hub.loader",
        "langfuse_peer": f"Langfuse {LANGFUSE}, cached",
        "plain_jinja": "plain Jinja2",
    }
    rows = [
        [names[side], *(f"{figures[name]:.1f}" for name in ("p50", "p99", "cpu"))]
        for side, figures in found.items()
    ]
    print(table(["look-up and rendering", "p50 µs", "p99 µs", "CPU µs"], rows), flush=True)
    ours, langfuse, jinja = (found[side] for side in names)
    return record(
        "loader",
        [
            Ratio(
                name="p99 of a look-up and a rendering, of the limit",
                value=ours["p99"] / MOST_MICROSECONDS,
                limit=1.0,
                at_most=True,
                measured=f"{ours['p99']:.1f} µs",
                beside=f"limit: {MOST_MICROSECONDS:.0f} µs",
                runs=RUNS,
            ),
            Ratio(
                name="CPU of it, contract held, of Langfuse's cached get and compile",
                value=ours["cpu"] / langfuse["cpu"],
                limit=0.75,
                at_most=True,
                measured=f"{ours['cpu']:.1f} µs",
                beside=f"Langfuse {LANGFUSE}: {langfuse['cpu']:.1f} µs",
                runs=RUNS,
            ),
            Ratio(
                name="CPU of it, of plain Jinja2's for the same messages",
                value=ours["cpu"] / jinja["cpu"],
                limit=1.0,
                at_most=True,
                measured=f"{ours['cpu']:.1f} µs",
                beside=f"Jinja2, compiled once: {jinja['cpu']:.1f} µs",
                runs=RUNS,
            ),
        ],
    )


def _questions() -> JsonObject:
    """Return the records, what every side makes of the first, and the prompt in its language."""
    repository = PromptRepository(ROOT)
    prompt = repository.production(TASK)
    if prompt is None:
        raise MeasurementError(f"the repository has no champion of {TASK}")
    records = [example.input for example in repository.examples(TASK)]
    messages = render(prompt, records[0])
    fixed: list[JsonObject] = [{**message} for message in messages[:-1]]
    question = prompt.messages[-1]
    mustache: list[JsonObject] = [*fixed, {"role": question.role, "content": question.content}]
    return {
        "root": str(ROOT),
        "task": TASK,
        "records": [*records],
        "messages": [{**message} for message in messages],
        "templates": [*_templates(prompt)],
        "mustache": [*mustache],
    }


def _templates(prompt: Prompt) -> Sequence[JsonObject]:
    """Return every message with its template, and its own fields where it is a worked example."""
    *before, question = prompt.messages
    found: list[JsonObject] = [
        {"role": message.role, "template": message.content, "fields": None} for message in before
    ]
    for shot in (prompt.few_shot.examples or ()) if prompt.few_shot else ():
        answer = json.dumps(shot.expected, ensure_ascii=False)
        found.append({"role": question.role, "template": question.content, "fields": shot.input})
        found.append(
            {"role": "assistant", "template": "{{ answer }}", "fields": {"answer": answer}}
        )
    return [*found, {"role": question.role, "template": question.content, "fields": None}]


def _langfuse() -> Path:
    """Return an interpreter that has Langfuse, installed once, apart from our own packages."""
    home = PEERS / f"langfuse-{LANGFUSE}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"installing Langfuse {LANGFUSE} into {home.relative_to(ROOT)}", flush=True)
        _checked([sys.executable, "-m", "venv", "--clear", str(home)])
        _checked([str(python), "-m", "pip", "install", "--quiet", f"langfuse=={LANGFUSE}"])
        (home / "ready").touch()
    return python


def _run(python: Path, side: str, asked: str) -> Figures:
    command = [str(python), "-m", f"benchmarks.loader.{side}"]
    # Nothing of our environment: a side has its own packages and no settings.
    figures: Figures = json.loads(_checked(command, asked).splitlines()[-1])
    return figures


def _checked(command: Sequence[str], given: str | None = None) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | pip, input=given, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise MeasurementError(f"{' '.join(command[:4])} ended with {done.returncode}: {last[0]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
