#!/usr/bin/env bash
# Which wrong answers about parts the scorers of other evaluation frameworks call right.
#
# Matters here: whoever comes from such a framework compares its scores with ours, and a part's value differs from
# another's in a sign, a separator or a letter of its unit. Ours compare text as it is, or read the quantity in it.
#
# Guess: a scorer named exact or match tells every pair apart, case and spaces aside. F1 over words does not call a
# wrong value right. ROUGE, made for summaries, gives full marks to one that differs in its sign.
#
# Seen, 2026-11-28: `exact` of Inspect calls six of eight wrong answers correct, and its F1 gives the same six full
# marks. Both leave out signs, separators and strokes, so that a quarter of a watt is 14 of them, and the word "a", so
# that 10 A is 10. `match`, which reads like the looser one, takes two. For ROUGE a microfarad is also a farad, as its
# letters end at ASCII. Only the exact match of autoevals takes none.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  inspect-ai==0.3.285 autoevals==0.4.1 rouge-score==0.1.2

cat >"$work/score.py" <<'PY'
import asyncio
from importlib.metadata import version

from autoevals import ExactMatch
from inspect_ai.model import ModelName, ModelOutput
from inspect_ai.scorer import Target, exact, f1, match
from inspect_ai.solver import TaskState
from rouge_score.rouge_scorer import RougeScorer

PAIRS = (
    ("-40 °C", "40 °C"),
    ("1/4 W", "14 W"),
    ("0,25 W", "25 W"),
    ("1,5", "15"),
    ("10 A", "10"),
    ("<5", "5"),
    ("4.7 µF", "4.7 F"),
    ("1.5 V", "15 V"),
)


async def inspected(scorer, wanted: str, answer: str) -> bool:
    model = ModelName("mockllm/model")
    output = ModelOutput.from_content("model", answer)
    state = TaskState(model=model, sample_id=1, epoch=1, input="?", messages=[], output=output)
    return (await scorer(state, Target(wanted))).value in ("C", 1.0)


def right(name: str, wanted: str, answer: str) -> bool:
    if name == "autoevals exact":
        return ExactMatch().eval(answer, wanted).score == 1
    if name == "ROUGE-L":
        return RougeScorer(["rougeL"]).score(wanted, answer)["rougeL"].fmeasure == 1
    scorers = {"exact": exact(), "match": match(), "match, numeric": match(numeric=True), "f1": f1()}
    return asyncio.run(inspected(scorers[name.removeprefix("inspect ")], wanted, answer))


for package in ("inspect-ai", "autoevals", "rouge-score"):
    print(package, version(package))
for name in (
    *("inspect exact", "inspect match", "inspect match, numeric", "inspect f1"),
    *("autoevals exact", "ROUGE-L"),
):
    taken = [f"{wanted} = {answer}" for wanted, answer in PAIRS if right(name, wanted, answer)]
    print(f"  {name}: {'; '.join(taken) or 'none'}")
PY
"$work/venv/bin/python" "$work/score.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
inspect-ai 0.3.285
autoevals 0.4.1
rouge-score 0.1.2
  inspect exact: -40 °C = 40 °C; 1/4 W = 14 W; 0,25 W = 25 W; 1,5 = 15; 10 A = 10; <5 = 5
  inspect match: -40 °C = 40 °C; <5 = 5
  inspect match, numeric: -40 °C = 40 °C; 1,5 = 15; <5 = 5
  inspect f1: -40 °C = 40 °C; 1/4 W = 14 W; 0,25 W = 25 W; 1,5 = 15; 10 A = 10; <5 = 5
  autoevals exact: none
  ROUGE-L: -40 °C = 40 °C; <5 = 5; 4.7 µF = 4.7 F
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
