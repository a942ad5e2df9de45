#!/usr/bin/env bash
# How template engines write one record as JSON into a prompt, each with its own filter.
#
# Matters here: whoever moves a prompt from one tool to another keeps `{{ record | tojson }}`. Another text is another
# prompt for the model, with other tokens, and scores that were measured on the first say nothing of the second.
#
# Guess: all keep the order of the keys, but Jinja2, which sorts them and writes <, > and & as escapes. MiniJinja, of the
# same author, does as Jinja2 does. The two for chat templates and Liquid leave all characters alone, and write true,
# null and 1e-07 alike. A width of 10.0 is 10.0 from Python and 10 from JavaScript, which has no other.
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
{"title": "R&D <5 %>", "maker": "Müller's", "size": "1/4\"", "unit": "µF", "rohs": true, "note": null, "width": 10.0, "tiny": 1e-7}
JSON
cat >write.py <<'PY'
import json
from importlib.metadata import version

import jinja2
import liquid
import minijinja

record = json.load(open("record.json", encoding="utf-8"))
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
{ venv/bin/python write.py; node write.mjs; } >seen
cat seen
