#!/usr/bin/env bash
# How template engines write one record as JSON into a prompt, each with its own filter.
#
# Matters here: whoever moves a prompt from one tool to another keeps `{{ record | tojson }}`. Another text is another
# prompt for the model, with other tokens, and scores that were measured on the first say nothing of the second.
#
# Guess: all keep the order of the keys, but Jinja2, which sorts them and writes <, > and & as escapes. MiniJinja, of the
# same author, does as Jinja2 does. The two for chat templates and Liquid leave all characters alone, and write true,
# null and 1e-07 alike. A width of 10.0 is 10.0 from Python and 10 from JavaScript, which has no other.
#
# Seen, 2026-11-28: six engines write five texts. Jinja2 sorts the keys; MiniJinja does not. Both write <, > and & as
# escapes, and the apostrophe. Jinja2 and Liquid for Python write ü as an escape, too; Liquid for JavaScript leaves it,
# and writes no spaces. 1e-7 is 1e-07 from the two that use Python's own writer.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  Jinja2==3.1.6 MarkupSafe==3.0.3 minijinja==3.0.5 python-liquid==2.3.6
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" \
  @huggingface/jinja@0.5.11 nunjucks@3.2.4 liquidjs@10.30.1 >"$work/npm"

cd "$work"
cat >record.json <<'JSON'
{"title": "R&D <5 %>", "maker": "Müller's", "size": "1/4\"", "rohs": true, "note": null, "width": 10.0, "loss": 1e-7}
JSON
cat >write.py <<'PY'
import json
from importlib.metadata import version
from pathlib import Path

import jinja2
import liquid
import minijinja

record = json.loads(Path("record.json").read_text("utf-8"))
print("Jinja2", version("Jinja2"))
print(" ", jinja2.Environment().from_string("{{ r | tojson }}").render(r=record))
print("minijinja", version("minijinja"))
print(" ", minijinja.Environment().render_str("{{ r | tojson }}", r=record))
print("python-liquid", version("python-liquid"))
print(" ", liquid.Environment(extra=True).from_string("{{ r | json }}").render(r=record))
PY
cat >write.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
import { Liquid } from "liquidjs";
import nunjucks from "nunjucks";

const r = JSON.parse(readFileSync("record.json", "utf8"));
const of = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version;
console.log("@huggingface/jinja", of("@huggingface/jinja"));
console.log(" ", new Template("{{ r | tojson }}").render({ r }));
console.log("nunjucks", of("nunjucks"));
console.log(" ", new nunjucks.Environment(null, { autoescape: false }).renderString("{{ r | dump }}", { r }));
console.log("liquidjs", of("liquidjs"));
console.log(" ", await new Liquid().parseAndRender("{{ r | json }}", { r }));
JS
{ venv/bin/python write.py; node write.mjs; } >seen 2>log || { cat log >&2; exit 1; }
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
Jinja2 3.1.6
  {"loss": 1e-07, "maker": "M\u00fcller\u0027s", "note": null, "rohs": true, "size": "1/4\"", "title": "R\u0026D \u003c5 %\u003e", "width": 10.0}
minijinja 3.0.5
  {"title": "R\u0026D \u003c5 %\u003e", "maker": "Müller\u0027s", "size": "1/4\"", "rohs": true, "note": null, "width": 10.0, "loss": 1e-7}
python-liquid 2.3.6
  {"title": "R&D <5 %>", "maker": "M\u00fcller's", "size": "1/4\"", "rohs": true, "note": null, "width": 10.0, "loss": 1e-07}
@huggingface/jinja 0.5.11
  {"title": "R&D <5 %>", "maker": "Müller's", "size": "1/4\"", "rohs": true, "note": null, "width": 10, "loss": 1e-7}
nunjucks 3.2.4
  {"title":"R&D <5 %>","maker":"Müller's","size":"1/4\"","rohs":true,"note":null,"width":10,"loss":1e-7}
liquidjs 10.30.1
  {"title":"R&D <5 %>","maker":"Müller's","size":"1/4\"","rohs":true,"note":null,"width":10,"loss":1e-7}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
