#!/usr/bin/env bash
# Which numbers decoders let a model write under the bounds of a schema, beside a validator.
#
# Matters here: a confidence lies between 0 and 1, a count of pins is at least 1. Whoever has a decoder hold such a
# contract may leave the check of the answer out.
#
# Guess: each decoder keeps bounds of numbers, as they are among the oldest words of JSON Schema. What a bounded number
# may look like is what any number may look like, exponents included.
#
# Seen, 2026-11-28: lm-format-enforcer and outlines-core keep no bound and no multiple, and say nothing of it: all seven
# wrong numbers can be written. llguidance keeps every bound, and takes the exponents of a number away as soon as it has
# one: a confidence of 1e-9 cannot be written as such, though one without bounds can. 1.0 is an integer for the
# validator and for no decoder.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  llguidance==1.9.1 lm-format-enforcer==0.11.3 outlines-core==0.2.14 jsonschema-rs==0.61.0

cat >"$work/decode.py" <<'PY'
import json
import re
from importlib.metadata import version

import jsonschema_rs
from llguidance import LLMatcher, LLTokenizer
from lmformatenforcer import JsonSchemaParser
from outlines_core.json_schema import build_regex_from_schema

BYTES = LLTokenizer("byte")
CASES = (
    ({"type": "integer"}, ("1.0",)),
    ({"type": "number"}, ("1e-9",)),
    ({"type": "number", "minimum": 0, "maximum": 1}, ("0.5", "1e-9", "5e-1", "1.5", "-0.5")),
    ({"type": "number", "exclusiveMinimum": 0}, ("0.1", "0.0")),
    ({"type": "integer", "minimum": 1, "maximum": 100}, ("50", "0", "101")),
    ({"type": "integer", "multipleOf": 5}, ("10", "7")),
    ({"type": "number", "multipleOf": 0.5}, ("1.5", "0.7")),
)


def llguidance(schema: dict, text: str) -> bool:
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    tokens = BYTES.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def lm_format_enforcer(schema: dict, text: str) -> bool:
    parser = JsonSchemaParser(schema)
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


def outlines_core(schema: dict, text: str) -> bool:
    return re.fullmatch(build_regex_from_schema(json.dumps(schema)), text) is not None


def validator(schema: dict, text: str) -> bool:
    return jsonschema_rs.Draft202012Validator(schema).is_valid(json.loads(text))


READERS = {
    "jsonschema-rs": validator,
    "llguidance": llguidance,
    "lm-format-enforcer": lm_format_enforcer,
    "outlines-core": outlines_core,
}

for package, takes in READERS.items():
    print(package, version(package))
    for part, numbers in CASES:
        schema = {"type": "object", "properties": {"a": part}, "required": ["a"], "additionalProperties": False}
        taken = [number for number in numbers if takes(schema, f'{{"a": {number}}}')]
        bounds = ", ".join(f"{word} {value}" for word, value in part.items() if word != "type")
        print(f"  {part['type']} {bounds or 'alone'}: takes {', '.join(taken) or 'none'} of {', '.join(numbers)}")
PY
"$work/venv/bin/python" "$work/decode.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
jsonschema-rs 0.61.0
  integer alone: takes 1.0 of 1.0
  number alone: takes 1e-9 of 1e-9
  number minimum 0, maximum 1: takes 0.5, 1e-9, 5e-1 of 0.5, 1e-9, 5e-1, 1.5, -0.5
  number exclusiveMinimum 0: takes 0.1 of 0.1, 0.0
  integer minimum 1, maximum 100: takes 50 of 50, 0, 101
  integer multipleOf 5: takes 10 of 10, 7
  number multipleOf 0.5: takes 1.5 of 1.5, 0.7
llguidance 1.9.1
  integer alone: takes none of 1.0
  number alone: takes 1e-9 of 1e-9
  number minimum 0, maximum 1: takes 0.5 of 0.5, 1e-9, 5e-1, 1.5, -0.5
  number exclusiveMinimum 0: takes 0.1 of 0.1, 0.0
  integer minimum 1, maximum 100: takes 50 of 50, 0, 101
  integer multipleOf 5: takes 10 of 10, 7
  number multipleOf 0.5: takes 1.5 of 1.5, 0.7
lm-format-enforcer 0.11.3
  integer alone: takes none of 1.0
  number alone: takes 1e-9 of 1e-9
  number minimum 0, maximum 1: takes 0.5, 1e-9, 5e-1, 1.5, -0.5 of 0.5, 1e-9, 5e-1, 1.5, -0.5
  number exclusiveMinimum 0: takes 0.1, 0.0 of 0.1, 0.0
  integer minimum 1, maximum 100: takes 50, 0, 101 of 50, 0, 101
  integer multipleOf 5: takes 10, 7 of 10, 7
  number multipleOf 0.5: takes 1.5, 0.7 of 1.5, 0.7
outlines-core 0.2.14
  integer alone: takes none of 1.0
  number alone: takes 1e-9 of 1e-9
  number minimum 0, maximum 1: takes 0.5, 1e-9, 5e-1, 1.5, -0.5 of 0.5, 1e-9, 5e-1, 1.5, -0.5
  number exclusiveMinimum 0: takes 0.1, 0.0 of 0.1, 0.0
  integer minimum 1, maximum 100: takes 50, 0, 101 of 50, 0, 101
  integer multipleOf 5: takes 10, 7 of 10, 7
  number multipleOf 0.5: takes 1.5, 0.7 of 1.5, 0.7
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
