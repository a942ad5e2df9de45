#!/usr/bin/env bash
# Which days and times `format: date` and `format: time` mean, in decoders and validators.
#
# Matters here: what a decoder lets through as a date is held to be one by the check of the answer. And two
# validators are one contract only if they agree.
#
# Guess: a decoder that knows `format: date` lets only days through that exist, as validators do: 2024-02-29, and
# neither 2023-02-29 nor 2026-02-30. A time needs its zone (RFC 3339) for all: `08:00:00Z`, not `08:00:00`.
#
# Seen, 2026-11-27: llguidance counts 29 days in every February, outlines-core lets 2026-02-30 through and
# lm-format-enforcer a thirteenth month. jsonschema's FormatChecker() asserts `time` the other way round than
# jsonschema-rs: it takes `08:00:00` and refuses `08:00:00Z`. fastjsonschema and two decoders take both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  llguidance==1.9.1 lm-format-enforcer==0.11.3 outlines-core==0.2.14 \
  jsonschema-rs==0.61.0 jsonschema==4.26.0 fastjsonschema==2.22.3

"$work/venv/bin/python" - >"$work/seen" 2>/dev/null <<'PY'
import json
import re
from importlib.metadata import version

import fastjsonschema
import jsonschema
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
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return validator.is_valid(json.loads(text))


def with_jsonschema(schema, text):
    checker = jsonschema.FormatChecker()
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    return validator.is_valid(json.loads(text))


def with_fastjsonschema(schema, text):
    try:
        fastjsonschema.validate(schema, json.loads(text))
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


READERS = {"llguidance": llguidance, "lm-format-enforcer": lm_format_enforcer}
READERS["outlines-core"] = outlines_core
READERS["jsonschema-rs"] = with_jsonschema_rs
READERS["jsonschema"] = with_jsonschema
READERS["fastjsonschema"] = with_fastjsonschema
CASES = [
    (
        "date",
        {"type": "string", "format": "date"},
        ["2024-02-29", "2023-02-29", "2026-02-30", "2026-13-01"],
    ),
    ("time", {"type": "string", "format": "time"}, ["08:00:00Z", "08:00:00"]),
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
  date: takes 2024-02-29, 2023-02-29 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00Z of 08:00:00Z, 08:00:00
lm-format-enforcer 0.11.3
  date: takes 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00Z, 08:00:00 of 08:00:00Z, 08:00:00
outlines-core 0.2.14
  date: takes 2024-02-29, 2023-02-29, 2026-02-30 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00Z, 08:00:00 of 08:00:00Z, 08:00:00
jsonschema-rs 0.61.0
  date: takes 2024-02-29 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00Z of 08:00:00Z, 08:00:00
jsonschema 4.26.0
  date: takes 2024-02-29 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00 of 08:00:00Z, 08:00:00
fastjsonschema 2.22.3
  date: takes 2024-02-29 of 2024-02-29, 2023-02-29, 2026-02-30, 2026-13-01
  time: takes 08:00:00Z, 08:00:00 of 08:00:00Z, 08:00:00
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
