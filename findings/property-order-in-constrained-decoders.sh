#!/usr/bin/env bash
# In which order constrained decoders let a model write the properties of an object.
#
# Matters here: a field that is written first cannot be thought over by those behind it, so the order is part of
# a prompt, and of its hash.
#
# Guess: all three let exactly the order of `properties` through, whatever `required` lists first.
#
# Seen, 2026-11-27: outlines-core and llguidance do, for optional properties, too. lm-format-enforcer lets every
# order through, so there the model decides, and the schema's order only reaches it where somebody writes the
# schema into the question.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  outlines-core==0.2.14 llguidance==1.9.1 lm-format-enforcer==0.11.3

"$work/venv/bin/python" - >"$work/seen" 2>"$work/notes" <<'PY'
import json
import re
from importlib.metadata import version

import llguidance
from lmformatenforcer import JsonSchemaParser
from outlines_core.json_schema import build_regex_from_schema

PROPERTIES = {"unit": {"type": "string"}, "value": {"type": "integer"}}
TEXTS = ('{"unit": "V", "value": 1}', '{"value": 1, "unit": "V"}')


def outlines(schema, text):
    return re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None


def guidance(schema, text):
    tokens = llguidance.LLTokenizer("byte")
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema)
    matcher = llguidance.LLMatcher(tokens, grammar)
    return all(map(matcher.consume_token, tokens.tokenize_str(text))) and matcher.is_accepting()


def enforcer(schema, text):
    parser = JsonSchemaParser(schema)
    for mark in text:
        if mark not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(mark)
    return parser.can_end()


decoders = {"outlines_core": outlines, "llguidance": guidance, "lm-format-enforcer": enforcer}
for name, lets_through in decoders.items():
    print(name, version(name))
    for required in (["value", "unit"], ["value"]):
        schema = {
            "type": "object",
            "additionalProperties": False,
            "required": required,
            "properties": PROPERTIES,
        }
        taken = [text for text in TEXTS if lets_through(schema, text)]
        print(f"  required {', '.join(required)}: {' and '.join(taken)}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
outlines_core 0.2.14
  required value, unit: {"unit": "V", "value": 1}
  required value: {"unit": "V", "value": 1}
llguidance 1.9.1
  required value, unit: {"unit": "V", "value": 1}
  required value: {"unit": "V", "value": 1}
lm-format-enforcer 0.11.3
  required value, unit: {"unit": "V", "value": 1} and {"value": 1, "unit": "V"}
  required value: {"unit": "V", "value": 1} and {"value": 1, "unit": "V"}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
