#!/usr/bin/env bash
# Which events a pattern matches in three emulators of EventBridge, where kinds of JSON values meet.
#
# Matters here: a rule starts the pipeline after a rollback, and an alarm's message reaches people by one. A rule that
# is tried on an emulator alone may be silent, or loud, on AWS.
#
# Guess: the three agree on each pattern of the user guide's kinds. true is not 1, as JSON has it. A pattern of two
# words inside a list of objects wants both of one object.
#
# Seen, 2026-11-28: they agree on two of nine. moto and LocalStack take 1 for true and true for 1. moto finds nothing
# inside a list of objects, not even the one word that is there; LocalStack takes two words from two objects for one. An
# empty object exists in moto alone, where an empty list exists, too. A nested pattern takes a field whose name has a dot
# in moto and LocalStack. ministack gave the answers of the guess each time.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  moto==5.2.5 ministack==1.5.33 localstack-core==2026.3.0 boto3==1.43.106 jsonpatch==1.48 rolo==0.8.9

cat >"$work/match.py" <<'PY'
import json
from importlib.metadata import version

from localstack.services.events.event_rule_engine import EventPatternCompiler, EventRuleEngine
from ministack.services import eventbridge
from moto.events.models import EventPattern, EventPatternParser

ENVELOPE = {
    "id": "1", "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
    "source": "hub", "detail-type": "Score", "resources": [],
}
TWO = [{"task": "brand", "state": "green"}, {"task": "part", "state": "red"}]
CASES = (
    ({"bad": [True]}, {"bad": True}),
    ({"bad": [True]}, {"bad": 1}),
    ({"version": [1]}, {"version": True}),
    ({"score": [{"numeric": ["<", 0.7]}]}, {"score": "0.5"}),
    ({"rounds": {"task": ["brand"]}}, {"rounds": TWO}),
    ({"rounds": {"task": ["brand"], "state": ["red"]}}, {"rounds": TWO}),
    ({"reason": [{"exists": True}]}, {"reason": {}}),
    ({"reason": [{"exists": False}]}, {"reason": []}),
    ({"model": {"name": ["small"]}}, {"model.name": "small"}),
)


def moto(pattern: str, event: dict) -> bool:
    return EventPattern(pattern, EventPatternParser(pattern).parse()).matches_event(event)


def ministack(pattern: str, event: dict) -> bool:
    asked = {"EventPattern": pattern, "Event": json.dumps(event)}
    return json.loads(eventbridge._test_event_pattern(asked)[2])["Result"]


def localstack(pattern: str, event: dict) -> bool:
    compiled = EventPatternCompiler().compile_event_pattern(pattern)
    return EventRuleEngine().evaluate_pattern_on_event(compiled, json.dumps(event))


for package in ("moto", "ministack", "localstack-core"):
    print(package, version(package))
for pattern, detail in CASES:
    event = {**ENVELOPE, "detail": detail}
    matching = [
        match.__name__ for match in (moto, ministack, localstack) if match(json.dumps({"detail": pattern}), event)
    ]
    print(f"  {json.dumps(pattern)} on {json.dumps(detail)}: {', '.join(matching) or 'none'}")
PY
"$work/venv/bin/python" "$work/match.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
moto 5.2.5
ministack 1.5.33
localstack-core 2026.3.0
  {"bad": [true]} on {"bad": true}: moto, ministack, localstack
  {"bad": [true]} on {"bad": 1}: moto, localstack
  {"version": [1]} on {"version": true}: moto, localstack
  {"score": [{"numeric": ["<", 0.7]}]} on {"score": "0.5"}: none
  {"rounds": {"task": ["brand"]}} on {"rounds": [{"task": "brand", "state": "green"}, {"task": "part", "state": "red"}]}: ministack, localstack
  {"rounds": {"task": ["brand"], "state": ["red"]}} on {"rounds": [{"task": "brand", "state": "green"}, {"task": "part", "state": "red"}]}: localstack
  {"reason": [{"exists": true}]} on {"reason": {}}: moto
  {"reason": [{"exists": false}]} on {"reason": []}: ministack, localstack
  {"model": {"name": ["small"]}} on {"model.name": "small"}: moto, localstack
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
