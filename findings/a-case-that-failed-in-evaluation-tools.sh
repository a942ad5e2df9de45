#!/usr/bin/env bash
# What score evaluation tools give to four examples: two right, one wrong, and one whose call or whose scorer failed.
#
# Matters here: an outage is no wrong answer and no right one. Where it counts as 0, a candidate is blocked for the
# provider's fault; where it is left out in silence, three answers decide for a thousand.
#
# Guess: a failed call is left out by all, so that the mean is 0.667, and the sum says that one failed; Inspect stops the
# whole run. A failed scorer is left out, too, or counts as 0 in one. A run from the command line ends with an exit code
# other than 0, and from Python by an exception in none but Inspect's status.
#
# Seen, 2026-11-28: a failed case is left out of the mean by all but Inspect, which stops unless told otherwise. A
# failed call can be told from the counts. A failed scorer cannot in three of five: pydantic-evals says 4 cases and no
# failure, Braintrust no error in its results, Langfuse 4 items, and the mean is of three. DeepEval stops as well; told
# to ignore errors it gives both answers in one table: the mean of three, and a pass rate of four in which the failed
# one did not pass. Nothing raises in three.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  inspect-ai==0.3.285 pydantic-evals==2.62.0 deepeval==4.3.1 braintrust==0.48.1 langfuse==5.0.4

cd "$work"
cat >common.py <<'PY'
EXAMPLES = [("a", "a"), ("b", "b"), ("c", "x"), ("d", "d")]
"""What is asked, and the right answer. The task gives the question back, which is wrong once."""


class Asked:
    """Answers and grades; the call or the scorer fails at the last example."""

    def __init__(self, place):
        self.place = place

    def answer(self, question):
        if self.place == "call" and question == "d":
            raise ConnectionError("503")
        return question

    def grade(self, answered, expected):
        if self.place == "scorer" and answered == "d":
            raise ConnectionError("503")
        return float(answered == expected)


FAILING = [Asked("call"), Asked("scorer")]
PY
cat >by_inspect.py <<'PY'
from common import EXAMPLES, FAILING
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import solver


def run(asked, **options):
    @solver
    def ask():
        async def solve(state, generate):
            state.output = ModelOutput.from_content("m", asked.answer(state.input_text))
            return state

        return solve

    @scorer(metrics=[mean()])
    def right():
        async def score(state, target):
            return Score(value=asked.grade(state.output.completion, target.text))

        return score

    samples = [Sample(input=question, target=expected) for question, expected in EXAMPLES]
    task = Task(dataset=MemoryDataset(samples), solver=ask(), scorer=right())
    (log,) = evaluate(task, model="mockllm/model", display="none", log_dir="logs", **options)
    if log.results is None:
        return log.status
    results = log.results
    value = results.scores[0].metrics["mean"].value
    return f"{log.status}, {value:.3f} of {results.completed_samples} of {results.total_samples}"


for asked in FAILING:
    print(f"  {asked.place} fails: {run(asked)}; with fail_on_error=False: {run(asked, fail_on_error=False)}")
PY
cat >by_pydantic.py <<'PY'
from dataclasses import dataclass
from typing import Any

from common import EXAMPLES, FAILING
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator


@dataclass
class Right(Evaluator):
    asked: Any

    def evaluate(self, ctx):
        return self.asked.grade(ctx.output, ctx.expected_output)


for asked in FAILING:
    cases = [Case(name=question, inputs=question, expected_output=expected) for question, expected in EXAMPLES]
    dataset = Dataset(name="parts", cases=cases, evaluators=[Right(asked)])
    report = dataset.evaluate_sync(asked.answer, progress=False)
    value = report.averages().scores["Right"]
    print(f"  {asked.place} fails: {value:.3f}, {len(report.cases)} cases, {len(report.failures)} failures")
PY
cat >by_deepeval.py <<'PY'
from common import EXAMPLES, FAILING
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase


class Right(BaseMetric):
    threshold = 0.5
    __name__ = "Right"

    def measure(self, test_case, *args, **kwargs):
        self.score = FAILING[1].grade(test_case.actual_output, test_case.expected_output)
        self.success = self.score >= self.threshold
        return self.score

    async def a_measure(self, test_case, *args, **kwargs):
        return self.measure(test_case)

    def is_successful(self):
        return self.success


cases = [LLMTestCase(input=question, actual_output=question, expected_output=expected) for question, expected in EXAMPLES]
for ignored in (False, True):
    try:
        evaluate(
            cases,
            metrics=[Right()],
            async_config=AsyncConfig(run_async=False),
            display_config=DisplayConfig(show_indicator=False),
            cache_config=CacheConfig(write_cache=False),
            error_config=ErrorConfig(ignore_errors=ignored),
        )
    except ConnectionError:
        print("raises ConnectionError")
PY
cat >by_braintrust.py <<'PY'
from braintrust import Eval
from common import EXAMPLES, FAILING

for asked in FAILING:

    def ask(question):
        return asked.answer(question)

    def right(input, output, expected):
        return asked.grade(output, expected)

    data = [{"input": question, "expected": expected} for question, expected in EXAMPLES]
    result = Eval("parts", data=data, task=ask, scores=[right], no_send_logs=True)
    errors = sum(each.error is not None for each in result.results)
    print(f"  {asked.place} fails: {result.summary.scores['right'].score:.3f}, {errors} errors in the results")
PY
cat >by_langfuse.py <<'PY'
import re

from common import EXAMPLES, FAILING
from langfuse import Evaluation, Langfuse

client = Langfuse(public_key="p", secret_key="s", host="http://127.0.0.1:9", tracing_enabled=False)
for asked in FAILING:

    def ask(*, item, **more):
        return asked.answer(item["input"])

    def right(*, input, output, expected_output, **more):
        return Evaluation(name="right", value=asked.grade(output, expected_output))

    data = [{"input": question, "expected_output": expected} for question, expected in EXAMPLES]
    told = client.run_experiment(name="parts", data=data, task=ask, evaluators=[right]).format()
    print(f"  {asked.place} fails: {', '.join(re.findall(r'^[0-9]+ items|right: [0-9.]+', told, re.MULTILINE))}")
PY
export DEEPEVAL_TELEMETRY_OPT_OUT=YES COLUMNS=160
version() { venv/bin/python -c 'import sys; from importlib.metadata import version; print(sys.argv[1], version(sys.argv[1]))' "$1"; }
run() { venv/bin/python -W ignore "by_$1.py" >told 2>log || { cat log >&2; exit 1; }; }
{
  version inspect-ai; run inspect; grep fails told
  version pydantic-evals; run pydantic; grep fails told
  version braintrust; run braintrust; grep fails told
  version langfuse; run langfuse; grep fails told
  version deepeval; run deepeval
  echo "  scorer fails: $(grep '^raises' told); with ignore_errors: $(
    grep --extended-regexp '^ *│ +Right .*passed=' told | grep --only-matching --extended-regexp '[0-9][0-9.]*%?' | paste --serial --delimiters ' ')"
} >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
inspect-ai 0.3.285
  call fails: error; with fail_on_error=False: success, 0.667 of 3 of 4
  scorer fails: error; with fail_on_error=False: success, 0.667 of 3 of 4
pydantic-evals 2.62.0
  call fails: 0.667, 3 cases, 1 failures
  scorer fails: 0.667, 4 cases, 0 failures
braintrust 0.48.1
  call fails: 0.667, 1 errors in the results
  scorer fails: 0.667, 0 errors in the results
langfuse 5.0.4
  call fails: 3 items, right: 0.667
  scorer fails: 4 items, right: 0.667
deepeval 4.3.1
  scorer fails: raises ConnectionError; with ignore_errors: 0.67 50.00% 2 2 4
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
