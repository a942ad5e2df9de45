#!/usr/bin/env bash
# What YAML readers make of everyday texts without quotes inside braces and brackets.
#
# Matters here: promptfoo's configurations are full of `vars: {question: Can I return it?, language: English}`,
# and a reader that refuses one refuses the file.
#
# Guess: all five read all of them, and alike. PyYAML's two loaders, in Python and in C, read the same documents.
#
# Seen, 2026-11-27: PyYAML's loader in Python refuses a text that ends in a question mark; its loader in C and the
# three others read it. So a file is valid or not by whether the C library was there when PyYAML was built. `C:` is
# a text to ruamel.yaml alone, and refused by the other four. A lone `-` is a text to the three of Python, and
# refused by the two of JavaScript.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check PyYAML==6.0.3 ruamel-yaml==0.18.16
npm install --silent --no-audit --no-fund --prefix "$work" js-yaml@5.4.1 yaml@2.8.1 >"$work/npm"

cat >"$work/texts.json" <<'JSON'
["{q: Can I return it?, l: English}", "[why?, how?]", "{u: http://a.b/c, l: x}", "{n: C:, l: x}",
 "{m: -, l: x}", "{a: x#y, l: x}"]
JSON
cat >"$work/read.py" <<'PY'
import json
import sys
from importlib.metadata import version

import yaml
from ruamel.yaml import YAML

readers = {
    f"PyYAML {version('PyYAML')} in Python": lambda text: yaml.load(text, yaml.SafeLoader),
    f"PyYAML {version('PyYAML')} in C": lambda text: yaml.load(text, yaml.CSafeLoader),
    f"ruamel.yaml {version('ruamel.yaml')}": lambda text: YAML(typ="safe", pure=True).load(text),
}
for name, read in readers.items():
    print(name)
    for text in json.load(open(f"{sys.argv[1]}/texts.json", encoding="utf-8")):
        try:
            found = json.dumps(read(text))
        except Exception as error:
            found = type(error).__name__
        print(f"  {text}: {found}")
PY
cat >"$work/read.cjs" <<'JS'
const readers = {
  [`js-yaml ${require("js-yaml/package.json").version}`]: require("js-yaml").load,
  [`yaml ${require("yaml/package.json").version}`]: require("yaml").parse,
};
for (const [name, read] of Object.entries(readers)) {
  console.log(name);
  for (const text of require("./texts.json")) {
    let found;
    try {
      found = JSON.stringify(read(text));
    } catch (error) {
      found = error.name;
    }
    console.log(`  ${text}: ${found}`);
  }
}
JS
{ "$work/venv/bin/python" "$work/read.py" "$work"; node "$work/read.cjs"; } >"$work/seen"
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
PyYAML 6.0.3 in Python
  {q: Can I return it?, l: English}: ParserError
  [why?, how?]: ParserError
  {u: http://a.b/c, l: x}: {"u": "http://a.b/c", "l": "x"}
  {n: C:, l: x}: ParserError
  {m: -, l: x}: {"m": "-", "l": "x"}
  {a: x#y, l: x}: {"a": "x#y", "l": "x"}
PyYAML 6.0.3 in C
  {q: Can I return it?, l: English}: {"q": "Can I return it?", "l": "English"}
  [why?, how?]: ["why?", "how?"]
  {u: http://a.b/c, l: x}: {"u": "http://a.b/c", "l": "x"}
  {n: C:, l: x}: ScannerError
  {m: -, l: x}: {"m": "-", "l": "x"}
  {a: x#y, l: x}: {"a": "x#y", "l": "x"}
ruamel.yaml 0.18.16
  {q: Can I return it?, l: English}: {"q": "Can I return it?", "l": "English"}
  [why?, how?]: ["why?", "how?"]
  {u: http://a.b/c, l: x}: {"u": "http://a.b/c", "l": "x"}
  {n: C:, l: x}: {"n": "C:", "l": "x"}
  {m: -, l: x}: {"m": "-", "l": "x"}
  {a: x#y, l: x}: {"a": "x#y", "l": "x"}
js-yaml 5.4.1
  {q: Can I return it?, l: English}: {"q":"Can I return it?","l":"English"}
  [why?, how?]: ["why?","how?"]
  {u: http://a.b/c, l: x}: {"u":"http://a.b/c","l":"x"}
  {n: C:, l: x}: YAMLException
  {m: -, l: x}: YAMLException
  {a: x#y, l: x}: {"a":"x#y","l":"x"}
yaml 2.8.1
  {q: Can I return it?, l: English}: {"q":"Can I return it?","l":"English"}
  [why?, how?]: ["why?","how?"]
  {u: http://a.b/c, l: x}: {"u":"http://a.b/c","l":"x"}
  {n: C:, l: x}: YAMLParseError
  {m: -, l: x}: YAMLParseError
  {a: x#y, l: x}: {"a":"x#y","l":"x"}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
