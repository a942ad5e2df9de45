#!/usr/bin/env bash
# What filters and conditions that Nunjucks and Jinja2 both have make of the same values.
#
# Matters here: an import rewrites promptfoo's templates (Nunjucks) as ours (Jinja2), and a template that reads
# the same sends other words.
#
# Guess: Nunjucks is a port of Jinja2, so filters of one name do the same for part texts; only values that are
# not there, true and false, and lists written out look different.
#
# Seen, 2026-11-27: nine of eleven differ. `title` leaves the letter after a hyphen small in Nunjucks. 2.5 is
# rounded to 3 there and to 2.0 by Jinja2. `truncate(10)` of 15 characters makes 13 of them there, dots included,
# and leaves all 15 here, for a leeway of 5. A number's `length` is nothing and an error, a text joined is an error
# and its letters, null is nothing and `None`, also behind `default`. An empty list is true there, '2' is 2, 1.0
# is 1. Only `sort`, which leaves the case out in both, and the `length` of what is not there agree.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check Jinja2==3.1.6 MarkupSafe==3.0.3
npm install --silent --no-audit --no-fund --prefix "$work" nunjucks@3.2.4 >"$work/npm"

cat >"$work/values.json" <<'JSON'
{"maker": "o'neil-smith GMBH", "ohms": 2.5, "volts": 1.0, "text": "thick film chip", "tags": [],
 "pins": "2", "names": ["b", "A", "c"], "nothing": null, "record": {"a": [1, 2]}}
JSON
cat >"$work/templates.json" <<'JSON'
["{{ maker | title }}", "{{ ohms | round }}", "{{ text | truncate(10) }}", "{{ gone | length }}",
 "{{ ohms | length }}", "{{ text | join(',') }}", "{{ names | sort | join }}", "{{ nothing | default('x') }}",
 "{% if tags %}yes{% else %}no{% endif %}", "{{ pins == 2 }}", "{{ volts }}"]
JSON

cat >"$work/there.cjs" <<'JS'
const nunjucks = require("nunjucks");
const environment = nunjucks.configure({ autoescape: false });
const values = require("./values.json");
console.log("nunjucks", require("nunjucks/package.json").version);
for (const template of require("./templates.json")) {
  let written;
  try {
    written = JSON.stringify(environment.renderString(template, values));
  } catch {
    written = "an error";
  }
  console.log(`  ${template}: ${written}`);
}
JS
cat >"$work/here.py" <<'PY'
import json
import sys
from importlib.metadata import version

from jinja2 import Environment

values = json.load(open(f"{sys.argv[1]}/values.json", encoding="utf-8"))
print("Jinja2", version("Jinja2"))
for template in json.load(open(f"{sys.argv[1]}/templates.json", encoding="utf-8")):
    try:
        written = json.dumps(Environment().from_string(template).render(values))
    except Exception:
        written = "an error"
    print(f"  {template}: {written}")
PY
{ node "$work/there.cjs"; "$work/venv/bin/python" "$work/here.py" "$work"; } >"$work/seen"
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
nunjucks 3.2.4
  {{ maker | title }}: "O'neil-smith Gmbh"
  {{ ohms | round }}: "3"
  {{ text | truncate(10) }}: "thick film..."
  {{ gone | length }}: "0"
  {{ ohms | length }}: ""
  {{ text | join(',') }}: an error
  {{ names | sort | join }}: "Abc"
  {{ nothing | default('x') }}: ""
  {% if tags %}yes{% else %}no{% endif %}: "yes"
  {{ pins == 2 }}: "true"
  {{ volts }}: "1"
Jinja2 3.1.6
  {{ maker | title }}: "O'neil-Smith Gmbh"
  {{ ohms | round }}: "2.0"
  {{ text | truncate(10) }}: "thick film chip"
  {{ gone | length }}: "0"
  {{ ohms | length }}: an error
  {{ text | join(',') }}: "t,h,i,c,k, ,f,i,l,m, ,c,h,i,p"
  {{ names | sort | join }}: "Abc"
  {{ nothing | default('x') }}: "None"
  {% if tags %}yes{% else %}no{% endif %}: "no"
  {{ pins == 2 }}: "False"
  {{ volts }}: "1.0"
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
