#!/usr/bin/env bash
# What packages that repair JSON make of values of parts that a model wrote without quotes.
#
# Matters here: an answer that is no JSON scores 0, and a package that mends it looks like the cure. It has to keep what
# the model said: a wrong value that is valid JSON passes every check of form.
#
# Guess: where the text is no number it becomes a string as it stands, in all: "4k7", "1/4W", "±5%", "-40..85". The size
# 0603 becomes "0603", or 603 in one or two. 0,25 becomes "0,25", or 0 with the rest lost. The inch sign that ends a
# string too early is mended by all.
#
# Seen, 2026-11-28: a size of 0603 is the number 603 in three of six, and 387, to the base of eight, in dirtyjson, which
# refuses 0805; only jsonrepair keeps it. 10 kΩ is 10 and ±5% is 5 in json-repair. fast-json-repair ends a value where
# it stops being a number, and makes a key of the rest: 4k7 is 4, and a key `k7` without a value; dirty-json does so,
# too, and loses `n` with it. The inch sign is mended by two, makes two more keys in one, and is refused by three.
# json-fixer refuses all nine.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  json-repair==0.64.4 fast-json-repair==0.2.3 dirtyjson==1.0.8
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" \
  jsonrepair@3.15.0 dirty-json@0.9.2 json-fixer@1.6.15 >"$work/npm"

cd "$work"
cat >answers.json <<'JSON'
["{\"size\": 0603, \"n\": 1}", "{\"size\": 0805, \"n\": 1}", "{\"price\": 0,25, \"n\": 1}",
 "{\"value\": 4k7, \"n\": 1}", "{\"value\": 10 kΩ, \"n\": 1}", "{\"power\": 1/4W, \"n\": 1}",
 "{\"tolerance\": ±5%, \"n\": 1}", "{\"range\": -40..85, \"n\": 1}", "{\"width\": \"3.5\"\", \"n\": 1}"]
JSON
cat >mend.py <<'PY'
import json
from importlib.metadata import version
from pathlib import Path

import dirtyjson
import fast_json_repair
import json_repair

PACKAGES = {"json-repair": json_repair, "fast-json-repair": fast_json_repair, "dirtyjson": dirtyjson}
for name, package in PACKAGES.items():
    print(name, version(name))
    for answer in json.loads(Path("answers.json").read_text("utf-8")):
        try:
            mended = json.dumps(package.loads(answer), ensure_ascii=False)
        except ValueError:
            mended = "refused"
        print(f"  {answer} -> {mended}")
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
    console.log(`  ${answer} -> ${mended}`);
  }
}
JS
{ venv/bin/python mend.py; node mend.cjs; } >seen 2>log || { cat log >&2; exit 1; }
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
json-repair 0.64.4
  {"size": 0603, "n": 1} -> {"size": 603, "n": 1}
  {"size": 0805, "n": 1} -> {"size": 805, "n": 1}
  {"price": 0,25, "n": 1} -> {"price": "0,25", "n": 1}
  {"value": 4k7, "n": 1} -> {"value": "4k7", "n": 1}
  {"value": 10 kΩ, "n": 1} -> {"value": 10, "n": 1}
  {"power": 1/4W, "n": 1} -> {"power": "1/4W", "n": 1}
  {"tolerance": ±5%, "n": 1} -> {"tolerance": 5, "n": 1}
  {"range": -40..85, "n": 1} -> {"range": "-40..85", "n": 1}
  {"width": "3.5"", "n": 1} -> {"width": "3.5\"", "n": 1}
fast-json-repair 0.2.3
  {"size": 0603, "n": 1} -> {"size": 603, "n": 1}
  {"size": 0805, "n": 1} -> {"size": 805, "n": 1}
  {"price": 0,25, "n": 1} -> {"price": 0, "25": null, "n": 1}
  {"value": 4k7, "n": 1} -> {"value": 4, "k7": null, "n": 1}
  {"value": 10 kΩ, "n": 1} -> {"value": 10, "kΩ": null, "n": 1}
  {"power": 1/4W, "n": 1} -> {"power": 1, "/4W": null, "n": 1}
  {"tolerance": ±5%, "n": 1} -> {"tolerance": "±5%", "n": 1}
  {"range": -40..85, "n": 1} -> {"range": -40.0, ".85": null, "n": 1}
  {"width": "3.5"", "n": 1} -> {"width": "3.5", ", ": "n\"", "1": null}
dirtyjson 1.0.8
  {"size": 0603, "n": 1} -> {"size": 387, "n": 1}
  {"size": 0805, "n": 1} -> refused
  {"price": 0,25, "n": 1} -> refused
  {"value": 4k7, "n": 1} -> refused
  {"value": 10 kΩ, "n": 1} -> refused
  {"power": 1/4W, "n": 1} -> refused
  {"tolerance": ±5%, "n": 1} -> refused
  {"range": -40..85, "n": 1} -> refused
  {"width": "3.5"", "n": 1} -> refused
jsonrepair 3.15.0
  {"size": 0603, "n": 1} -> {"size":"0603","n":1}
  {"size": 0805, "n": 1} -> {"size":"0805","n":1}
  {"price": 0,25, "n": 1} -> refused
  {"value": 4k7, "n": 1} -> {"value":"4k7","n":1}
  {"value": 10 kΩ, "n": 1} -> refused
  {"power": 1/4W, "n": 1} -> refused
  {"tolerance": ±5%, "n": 1} -> {"tolerance":"±5%","n":1}
  {"range": -40..85, "n": 1} -> {"range":"-40..85","n":1}
  {"width": "3.5"", "n": 1} -> {"width":"3.5\"","n":1}
dirty-json 0.9.2
  {"size": 0603, "n": 1} -> {"size":603,"n":1}
  {"size": 0805, "n": 1} -> {"size":805,"n":1}
  {"price": 0,25, "n": 1} -> {"price":0,"25,n":1}
  {"value": 4k7, "n": 1} -> {"value":4,"k7,n":1}
  {"value": 10 kΩ, "n": 1} -> {"value":10,"kΩ,n":1}
  {"power": 1/4W, "n": 1} -> {"power":1,"/4W,n":1}
  {"tolerance": ±5%, "n": 1} -> {"tolerance":"±5%","n":1}
  {"range": -40..85, "n": 1} -> {"range":-40,"0.85,n":1}
  {"width": "3.5"", "n": 1} -> refused
json-fixer 1.6.15
  {"size": 0603, "n": 1} -> refused
  {"size": 0805, "n": 1} -> refused
  {"price": 0,25, "n": 1} -> refused
  {"value": 4k7, "n": 1} -> refused
  {"value": 10 kΩ, "n": 1} -> refused
  {"power": 1/4W, "n": 1} -> refused
  {"tolerance": ±5%, "n": 1} -> refused
  {"range": -40..85, "n": 1} -> refused
  {"width": "3.5"", "n": 1} -> refused
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
