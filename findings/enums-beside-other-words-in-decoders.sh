#!/usr/bin/env bash
# What is left of an enumeration where another word of the schema stands beside it.
#
# Matters here: words of a schema add up, so a narrowed copy of a shared enumeration is a common way to write one.
#
# Guess: `enum: [resistor, IC]` with `maxLength: 4` beside it leaves `IC` alone, and so does a pattern of capitals, in
# decoders as in a validator.
#
# Seen, 2026-11-27: only llguidance takes both words together. outlines-core writes `resistor` beside either word, and
# lm-format-enforcer beside `maxLength`: an answer that no validator takes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  llguidance==1.9.1 lm-format-enforcer==0.11.3 outlines-core==0.2.14 \
  jsonschema-rs==0.61.0

"$work/venv/bin/python" - >"$work/seen" 2>/dev/null <<'PY'
import json
import re
from importlib.metadata import version

import jsonschema_rs
from llguidance import LLMatcher, LLTokenizer
from lmformatenforcer import JsonSchemaParser
from outlines_core.json_schema import build_regex_from_schema

BYTES = LLTokenizer("byte")


def llguidance(schema, text):
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    tokens = BYTES.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def lm_format_enforcer(schema, text):
    parser = JsonSchemaParser(schema)
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


def outlines_core(schema, text):
    return re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None


def with_jsonschema_rs(schema, text):
    return jsonschema_rs.Draft202012Validator(schema).is_valid(json.loads(text))


READERS = {"llguidance": llguidance, "lm-format-enforcer": lm_format_enforcer}
READERS["outlines-core"] = outlines_core
READERS["jsonschema-rs"] = with_jsonschema_rs
KINDS = {"type": "string", "enum": ["resistor", "IC"]}
CASES = [
    ("maxLength", {**KINDS, "maxLength": 4}, KINDS["enum"]),
    ("pattern", {**KINDS, "pattern": "^[A-Z]+$"}, KINDS["enum"]),
]

for package, takes in READERS.items():
    print(package, version(package))
    for title, part, values in CASES:
        schema = {"type": "object", "properties": {"a": part}, "required": ["a"]}
        schema["additionalProperties"] = False
        taken = [value for value in values if takes(schema, json.dumps({"a": value}))]
        print(f"  {title}: takes {', '.join(taken) or 'none'} of {', '.join(values)}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
llguidance 1.9.1
  maxLength: takes IC of resistor, IC
  pattern: takes IC of resistor, IC
lm-format-enforcer 0.11.3
  maxLength: takes resistor, IC of resistor, IC
  pattern: takes IC of resistor, IC
outlines-core 0.2.14
  maxLength: takes resistor, IC of resistor, IC
  pattern: takes resistor, IC of resistor, IC
jsonschema-rs 0.61.0
  maxLength: takes IC of resistor, IC
  pattern: takes IC of resistor, IC
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
