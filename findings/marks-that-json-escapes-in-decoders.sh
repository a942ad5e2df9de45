#!/usr/bin/env bash
# Whether decoders let a model write texts with a mark that JSON escapes: inches, a backslash, and µ written as \u00b5.
#
# Matters here: sizes in inches end in a quotation mark, so they stand in enumerations, patterns and lengths of output
# schemas. A decoder that forgets that JSON escapes it makes the right answer impossible, or an answer that is no JSON.
#
# Guess: all three let `3.5\"` through wherever the text may be 3.5", by enumeration, constant, pattern and length, count
# it as four characters, and never let the bare mark through. In a text without rules `\u00b5` and `\/` are taken, in an
# enumeration only what is written plainly is.
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
TEXT = {"type": "string"}
CASES = (
    ("any text", TEXT, (r'"3.5\""', r'"C:\\x"', r'"\u00b5F"', r'"1\/4W"', '"\u00b5F"')),
    ("enumeration", {"enum": ['3.5"', "\u00b5F"]}, (r'"3.5\""', r'"\u00b5F"', '"\u00b5F"')),
    ("constant", {"const": 'C:\\x'}, (r'"C:\\x"',)),
    ("pattern with it", {**TEXT, "pattern": '^[0-9.]+"$'}, (r'"3.5\""', '"3.5""')),
    ("pattern of any", {**TEXT, "pattern": "^.{4}$"}, (r'"3.5\""', '"4.7\u00b5"', r'"4.7\u00b5"', '"4.7k"')),
    ("pattern without", {**TEXT, "pattern": "^[^a-z]{4}$"}, (r'"3.5\""', '"3.5""', r'"C:\\X"')),
    ("at most 4", {**TEXT, "maxLength": 4}, (r'"3.5\""', r'"4.7\u00b5"', '"4.7\u00b5"', r'"3.55\""')),
    ("at least 5", {**TEXT, "minLength": 5}, (r'"3.5\""', r'"4.7\u00b5"', r'"3.55\""')),
)


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


def validator(schema, text):
    try:
        return jsonschema_rs.is_valid(schema, json.loads(text))
    except json.JSONDecodeError:
        return False


READERS = {"jsonschema-rs": validator, "llguidance": llguidance, "lm-format-enforcer": lm_format_enforcer}
READERS["outlines-core"] = outlines_core
for name in READERS:
    print(name, version(name))
for title, part, values in CASES:
    schema = {"type": "object", "properties": {"a": part}, "required": ["a"], "additionalProperties": False}
    print(title, json.dumps(part, ensure_ascii=False))
    for value in values:
        said = []
        for takes in READERS.values():
            try:
                said.append("yes" if takes(schema, f'{{"a": {value}}}') else "no")
            except Exception as error:
                said.append(f"error {type(error).__name__} {str(error)[:80]}")
        print(f"  {value}: {', '.join(said)}")
PY
"$work/venv/bin/python" "$work/decode.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"
