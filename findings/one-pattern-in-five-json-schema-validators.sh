#!/usr/bin/env bash
# What one `pattern` of a JSON Schema means to five validators of Python and JavaScript.
#
# Matters here: the schema of an answer is judged by our validator, by the provider's and by the one of the
# tool that a configuration comes from. A pattern that each reads otherwise is three contracts.
#
# Guess: `^[a-z]+$` takes "abc" and no line end after it, `^\d+$` takes ASCII's digits alone, and `\-` is a hyphen:
# all five agree. Only the two of JavaScript take `\p{L}`. (Of the other patterns nothing was guessed.)
#
# Seen, 2026-11-27: one of eleven, `\/`, is read alike by all. `^[a-z]+$` takes "abc\n" in jsonschema, whose `$` is
# Python's; fastjsonschema rewrites `$` and does not. `^\d+$` and `^\w+$` take Arabic digits and ß in both of Python's
# `re`. A hyphen, an at sign or a brace that is escaped, or not, otherwise than the flag `u` allows ends ajv and
# @cfworker/json-schema with an error as the schema is compiled. jsonschema-rs takes `\p{L}`, too. `a{,3}` is up to
# three for `re`, and an error for the other three. `\bBC5` finds a word after é in JavaScript alone.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  jsonschema==4.25.1 fastjsonschema==2.21.2 jsonschema-rs==0.61.0
npm install --prefix "$work" --silent --no-fund --no-audit --ignore-scripts \
  ajv@8.17.1 @cfworker/json-schema@4.1.6

cat >"$work/patterns.json" <<'JSON'
[["^[a-z]+$", "abc\n"], ["^\\d+$", "\u0663\u0664"], ["^\\w+$", "stra\u00dfe"], ["^\\p{L}+$", "\u03a9\u00b5"],
 ["^\\d{3}\\-\\d{4}$", "555-1234"], ["^\\@x$", "@x"], ["^\\/x$", "/x"], ["^a{,3}$", "aa"],
 ["^(?<y>\\d{4})$", "2026"], ["\\bBC5", "\u00e9BC5"], ["^}$", "}"]]
JSON
cat >"$work/judge.cjs" <<'JS'
const Ajv = require('ajv');
const { Validator } = require('@cfworker/json-schema');
const said = (judge) => {
  try {
    return judge() ? 'valid' : 'invalid';
  } catch {
    return 'error';
  }
};
const judged = require('./patterns.json').map(([pattern, text]) => [
  said(() => new Ajv().compile({ type: 'string', pattern })(text)),
  said(() => new Validator({ type: 'string', pattern }, '7').validate(text).valid),
]);
console.log(JSON.stringify(judged));
JS
cd "$work"
venv/bin/python - >seen <<'PY'
import json
import subprocess
from importlib.metadata import version

import fastjsonschema
import jsonschema
import jsonschema_rs

patterns = json.load(open("patterns.json"))
in_javascript = json.loads(subprocess.check_output(["node", "judge.cjs"]))


def said(judge):
    try:
        return "valid" if judge() else "invalid"
    except Exception:
        return "error"


def fast(schema, text):
    judge = fastjsonschema.compile(schema)
    try:
        judge(text)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


packages = [(name, version(name)) for name in ("jsonschema", "fastjsonschema", "jsonschema-rs")]
for name in ("ajv", "@cfworker/json-schema"):
    packages.append((name, json.load(open(f"node_modules/{name}/package.json"))["version"]))
for name, number in packages:
    print(name, number)
for (pattern, text), others in zip(patterns, in_javascript):
    schema = {"type": "string", "pattern": pattern}
    row = [
        said(lambda: jsonschema.Draft7Validator(schema).is_valid(text)),
        said(lambda: fast(schema, text)),
        said(lambda: jsonschema_rs.is_valid(schema, text)),
        *others,
    ]
    print(f"{pattern} {json.dumps(text)}: {' '.join(row)}")
PY
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
jsonschema 4.25.1
fastjsonschema 2.21.2
jsonschema-rs 0.61.0
ajv 8.17.1
@cfworker/json-schema 4.1.6
^[a-z]+$ "abc\n": valid invalid invalid invalid invalid
^\d+$ "\u0663\u0664": valid valid invalid invalid invalid
^\w+$ "stra\u00dfe": valid valid invalid invalid invalid
^\p{L}+$ "\u03a9\u00b5": error error valid valid valid
^\d{3}\-\d{4}$ "555-1234": valid valid valid error error
^\@x$ "@x": valid valid valid error error
^\/x$ "/x": valid valid valid valid valid
^a{,3}$ "aa": valid valid error error error
^(?<y>\d{4})$ "2026": error error valid valid valid
\bBC5 "\u00e9BC5": invalid invalid invalid valid valid
^}$ "}": valid valid valid error error
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
