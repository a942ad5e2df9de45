#!/usr/bin/env bash
# What score evaluation tools give to four examples: two right, one wrong, and one whose call or whose scorer failed.
#
# Matters here: an outage is no wrong answer and no right one. Where it counts as 0, a candidate is blocked for the
# provider's fault; where it is left out in silence, three answers decide for a thousand.
#
# Guess: a failed call is left out by all, so that the mean is 0.667, and the sum says that one failed; Inspect stops the
# whole run. A failed scorer is left out, too, or counts as 0 in one. A run from the command line ends with an exit code
# other than 0, and from Python by an exception in none but Inspect's status.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  inspect-ai==0.3.285 pydantic-evals==2.62.0 deepeval==4.3.1 braintrust==0.48.1 langfuse==5.0.4

cat >"$work/common.py" <<'PY'
EXAMPLES = [("a", "a"), ("b", "b"), ("c", "x"), ("d", "d")]
"""What is asked, and the right answer: a task that gives the question back is right but for one."""


def answer(question, place):
    if place == "call" and question == "d":
        raise ConnectionError("503")
    return question


def grade(answered, expected, place):
    if place == "scorer" and answered == "d":
        raise ConnectionError("503")
    return float(answered == expected)
PY
cat >"$work/by_inspect.py" <<'PY'
import sys
from importlib.metadata import version

from common import EXAMPLES, answer, grade
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import solver


def run(place, **options):
    @solver
    def asked():
        async def solve(state, generate):
            state.output = ModelOutput.from_content("m", answer(state.input_text, place))
            return state

        return solve

    @scorer(metrics=[mean()])
    def right():
        async def score(state, target):
            return Score(value=grade(state.output.completion, target.text, place))

        return score

    samples = [Sample(input=question, target=expected) for question, expected in EXAMPLES]
    task = Task(dataset=MemoryDataset(samples), solver=asked(), scorer=right())
    (log,) = evaluate(task, model="mockllm/model", display="none", log_dir="logs", **options)
    scores = log.results.scores[0] if log.results else None
    value = round(scores.metrics["mean"].value, 3) if scores else None
    print(f"    {log.status}, mean {value}, of {log.results and log.results.completed_samples}")


print("inspect-ai", version("inspect-ai"))
for place in ("call", "scorer"):
    print(" ", place)
    run(place)
    run(place, fail_on_error=False)
PY
cat >"$work/by_pydantic.py" <<'PY'
from dataclasses import dataclass
from importlib.metadata import version

from common import EXAMPLES, answer, grade
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator


@dataclass
class Right(Evaluator):
    place: str

    def evaluate(self, ctx):
        return grade(ctx.output, ctx.expected_output, self.place)


print("pydantic-evals", version("pydantic-evals"))
for place in ("call", "scorer"):
    cases = [Case(name=q, inputs=q, expected_output=e) for q, e in EXAMPLES]
    dataset = Dataset(name="d", cases=cases, evaluators=[Right(place)])
    report = dataset.evaluate_sync(lambda question: answer(question, place), progress=False)
    print(" ", place, report.averages().scores, "cases", len(report.cases), "failures", len(report.failures))
PY
cat >"$work/by_deepeval.py" <<'PY'
from importlib.metadata import version

from common import EXAMPLES, answer, grade
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase


class Right(BaseMetric):
    def __init__(self):
        self.threshold = 0.5

    def measure(self, test_case, *args, **kwargs):
        self.score = grade(test_case.actual_output, test_case.expected_output, "scorer")
        self.success = self.score >= self.threshold
        return self.score

    async def a_measure(self, test_case, *args, **kwargs):
        return self.measure(test_case)

    def is_successful(self):
        return self.success

    @property
    def __name__(self):
        return "Right"


print("deepeval", version("deepeval"))
cases = [LLMTestCase(input=q, actual_output=q, expected_output=e) for q, e in EXAMPLES]
for ignored in (False, True):
    try:
        result = evaluate(
            cases,
            metrics=[Right()],
            async_config=AsyncConfig(run_async=False),
            display_config=DisplayConfig(show_indicator=False, print_results=True),
            cache_config=CacheConfig(write_cache=False),
            error_config=ErrorConfig(ignore_errors=ignored),
        )
    except Exception as error:
        print("  ignored", ignored, type(error).__name__)
        continue
    for each in result.test_results:
        print("  ", each.input, each.success, [(m.score, m.success, m.error) for m in each.metrics_data])
PY
cat >"$work/by_braintrust.py" <<'PY'
from importlib.metadata import version

from braintrust import Eval
from common import EXAMPLES, answer, grade

print("braintrust", version("braintrust"))
for place in ("call", "scorer"):
    def right(input, output, expected, place=place):
        return grade(output, expected, place)

    result = Eval(
        "parts",
        data=[{"input": q, "expected": e} for q, e in EXAMPLES],
        task=lambda question, place=place: answer(question, place),
        scores=[right],
        no_send_logs=True,
    )
    print(" ", place, {n: s.score for n, s in result.summary.scores.items()}, [r.error for r in result.results])
PY
cat >"$work/by_langfuse.py" <<'PY'
from importlib.metadata import version

from common import EXAMPLES, answer, grade
from langfuse import Evaluation, Langfuse

print("langfuse", version("langfuse"))
client = Langfuse(public_key="p", secret_key="s", host="http://127.0.0.1:9", tracing_enabled=False)
for place in ("call", "scorer"):
    def right(*, input, output, expected_output, place=place, **more):
        return Evaluation(name="right", value=grade(output, expected_output, place))

    result = client.run_experiment(
        name="parts",
        data=[{"input": q, "expected_output": e} for q, e in EXAMPLES],
        task=lambda *, item, place=place, **more: answer(item["input"], place),
        evaluators=[right],
    )
    print(" ", place, len(result.item_results), result.format())
PY
cd "$work"
export DEEPEVAL_TELEMETRY_OPT_OUT=YES
for tool in inspect pydantic deepeval braintrust langfuse; do
  echo "== $tool"; venv/bin/python -W ignore by_$tool.py 2>log-$tool && echo "exit 0" || { echo "exit $?"; tail -3 log-$tool; }
done >seen
cat seen
