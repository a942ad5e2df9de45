#!/usr/bin/env bash
# Which prices from 0.01 to 99.99 are multiples of a cent, by JSON Schema's `multipleOf: 0.01`.
#
# Matters here: it is how a schema says "an amount of money", and an answer that breaks its schema is worth nothing.
# The validator of the tool that a configuration comes from and ours must mean the same by it.
#
# Guess: jsonschema and ajv refuse some hundred of the 9,999 prices, as 0.07 / 0.01 is 7.000000000000001;
# fastjsonschema the same ones; jsonschema-rs and @cfworker/json-schema none.
#
# Seen, 2026-11-27: jsonschema and ajv refuse the same 1,363, about every seventh price, of which 0.07 is the first. The
# other three refuse none, fastjsonschema among them, nor does ajv once its option `multipleOfPrecision` is set.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  jsonschema==4.25.1 fastjsonschema==2.21.2 jsonschema-rs==0.61.0
npm install --prefix "$work" --silent --no-fund --no-audit --ignore-scripts \
  ajv@8.17.1 @cfworker/json-schema@4.1.6

cat >"$work/judge.cjs" <<'JS'
const Ajv = require('ajv');
const { Validator } = require('@cfworker/json-schema');
const schema = { type: 'number', multipleOf: 0.01 };
const byCfworker = new Validator(schema, '7');
const judges = {
  ajv: new Ajv().compile(schema),
  'ajv, multipleOfPrecision 6': new Ajv({ multipleOfPrecision: 6 }).compile(schema),
  '@cfworker/json-schema': (price) => byCfworker.validate(price).valid,
};
const prices = require('./prices.json');
for (const [name, judge] of Object.entries(judges)) {
  const refused = prices.filter((price) => !judge(price));
  console.log(`${name}: ${[refused.length, ...refused.slice(0, 4)].join(' ')}`);
}
JS
cd "$work"
venv/bin/python - >seen <<'PY'
import json
import subprocess
from importlib.metadata import version

import fastjsonschema
import jsonschema
import jsonschema_rs

SCHEMA = {"type": "number", "multipleOf": 0.01}
text = "[" + ",".join(f"{cents / 100:.2f}" for cents in range(1, 10_000)) + "]"
open("prices.json", "w").write(text)
prices = json.loads(text)
compiled = fastjsonschema.compile(SCHEMA)


def fast(price):
    try:
        compiled(price)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


for name in ("jsonschema", "fastjsonschema", "jsonschema-rs"):
    print(name, version(name))
for name in ("ajv", "@cfworker/json-schema"):
    print(name, json.load(open(f"node_modules/{name}/package.json"))["version"])
judges = {
    "jsonschema": jsonschema.Draft7Validator(SCHEMA).is_valid,
    "fastjsonschema": fast,
    "jsonschema-rs": jsonschema_rs.validator_for(SCHEMA).is_valid,
}
for name, judge in judges.items():
    refused = [price for price in prices if not judge(price)]
    print(f"{name}: {' '.join(map(str, [len(refused), *refused[:4]]))}")
print(subprocess.check_output(["node", "judge.cjs"], text=True), end="")
PY
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
jsonschema 4.25.1
fastjsonschema 2.21.2
jsonschema-rs 0.61.0
ajv 8.17.1
@cfworker/json-schema 4.1.6
jsonschema: 1363 0.07 0.14 0.28 0.29
fastjsonschema: 0
jsonschema-rs: 0
ajv: 1363 0.07 0.14 0.28 0.29
ajv, multipleOfPrecision 6: 0
@cfworker/json-schema: 0
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
