#!/usr/bin/env bash
# What packages that repair JSON make of values of parts that a model wrote without quotes.
#
# Matters here: an answer that is no JSON scores 0, and a package that mends it looks like the cure. It has to keep what
# the model said: a wrong value that is valid JSON passes every check of form.
#
# Guess: where the text is no number it becomes a string as it stands, in all: "4k7", "1/4W", "±5%", "-40..85". The size
# 0603 becomes "0603", or 603 in one or two. 0,25 becomes "0,25", or 0 with the rest lost. The inch sign that ends a
# string too early is mended by all.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  json-repair==0.64.4 fast-json-repair==0.2.3 dirtyjson==1.0.8 hjson==3.1.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" \
  jsonrepair@3.15.0 dirty-json@0.9.2 json-fixer@1.6.15 >"$work/npm"

cd "$work"
cat >answers.json <<'JSON'
["{\"size\": 0603, \"n\": 1}", "{\"size\": 0805, \"n\": 1}", "{\"price\": 0,25, \"n\": 1}",
 "{\"price\": 1,250.00, \"n\": 1}", "{\"value\": 4k7, \"n\": 1}", "{\"value\": 10 kΩ, \"n\": 1}",
 "{\"power\": 1/4W, \"n\": 1}", "{\"tolerance\": ±5%, \"n\": 1}", "{\"range\": -40..85, \"n\": 1}",
 "{\"width\": \"3.5\"\", \"n\": 1}", "{\"number\": 2N3904, \"n\": 1}", "{\"number\": 1E5, \"n\": 1}"]
JSON
cat >mend.py <<'PY'
import json
from importlib.metadata import version

import dirtyjson
import fast_json_repair
import hjson
import json_repair

MENDERS = {
    "json-repair": json_repair.loads,
    "fast-json-repair": fast_json_repair.loads,
    "dirtyjson": dirtyjson.loads,
    "hjson": hjson.loads,
}
for name, mend in MENDERS.items():
    print(name, version(name))
    for answer in json.load(open("answers.json", encoding="utf-8")):
        try:
            mended = json.dumps(mend(answer), ensure_ascii=False)
        except Exception as error:
            mended = "refused"
        print(f"  {answer}  {mended}")
PY
cat >mend.cjs <<'JS'
const MENDERS = {
  jsonrepair: (text) => JSON.parse(require("jsonrepair").jsonrepair(text)),
  "dirty-json": (text) => require("dirty-json").parse(text),
  "json-fixer": (text) => require("json-fixer")(text).data,
};
for (const [name, mend] of Object.entries(MENDERS)) {
  console.log(name, require(`./node_modules/${name}/package.json`).version);
  for (const answer of require("./answers.json")) {
    let mended = "refused";
    try {
      mended = JSON.stringify(mend(answer));
    } catch {}
    console.log(`  ${answer}  ${mended}`);
  }
}
JS
{ venv/bin/python mend.py; node mend.cjs; } >seen
cat seen
