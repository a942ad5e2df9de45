#!/usr/bin/env bash
# Which texts a constrained decoder lets through where a schema's pattern has no anchors.
#
# Matters here: an output schema is read by a decoder, and its answer by a validator. Where the two read a
# pattern differently, right answers cannot be given at all.
#
# Guess: JSON Schema searches for a pattern in a text, so do decoders that take a schema: `[0-9]` lets `A4` and `4`
# through and refuses `AB`, `^[0-9]` takes `4` and `4A`, in all three.
#
# Seen, 2026-11-27: only llguidance searches. lm-format-enforcer and outlines-core match the whole text: `A4` cannot
# be answered. outlines-core takes nothing at all for a pattern with `^` alone, not even `4`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  llguidance==1.9.1 lm-format-enforcer==0.11.3 outlines-core==0.2.14

"$work/venv/bin/python" - >"$work/seen" 2>/dev/null <<'PY'
import json
import re
from importlib.metadata import version

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


READERS = {"llguidance": llguidance, "lm-format-enforcer": lm_format_enforcer}
READERS["outlines-core"] = outlines_core
CASES = [
    ("[0-9]", {"type": "string", "pattern": "[0-9]"}, ["A4", "4", "AB"]),
    ("^[0-9]", {"type": "string", "pattern": "^[0-9]"}, ["4A", "4"]),
    ("^[0-9]$", {"type": "string", "pattern": "^[0-9]$"}, ["4A", "4"]),
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
  [0-9]: takes A4, 4 of A4, 4, AB
  ^[0-9]: takes 4A, 4 of 4A, 4
  ^[0-9]$: takes 4 of 4A, 4
lm-format-enforcer 0.11.3
  [0-9]: takes 4 of A4, 4, AB
  ^[0-9]: takes 4 of 4A, 4
  ^[0-9]$: takes 4 of 4A, 4
outlines-core 0.2.14
  [0-9]: takes 4 of A4, 4, AB
  ^[0-9]: takes none of 4A, 4
  ^[0-9]$: takes 4 of 4A, 4
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
