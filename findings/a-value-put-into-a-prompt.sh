#!/usr/bin/env bash
# What tools that keep prompts make of one everyday value when they put it into a prompt.
#
# Matters here: an import must send the words that the other tool sent. A part's title may hold an ampersand, an
# angle bracket, or braces of its own: `R&D <5 %> {{size}}`.
#
# Guess: all five put the value in as it is, and once. Mustache escapes for HTML, but a tool for prompts turns that off.
# None looks at a value a second time, but MLflow perhaps, whose code goes over the text once for each name.
#
# Seen, 2026-11-28: three of five put it in as it is: Prompty by Jinja2, dotprompt and Langfuse. Prompty by Mustache
# sends the model `R&amp;D &lt;5 %&gt;`. MLflow puts the value of `size` into that of `title` too, where `title` was
# named before `size` in the call, and leaves it where it was named after.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  prompty==2.1.0 chevron==0.14.0 jinja2==3.1.6 dotpromptz==0.2.0 langfuse==5.0.4 mlflow-skinny==3.17.2

cat >"$work/put.py" <<'PY'
import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

import prompty
from dotpromptz.dotprompt import Dotprompt
from dotpromptz.typing import DataArgument
from langfuse.model import TemplateParser
from mlflow.entities.model_registry.prompt_version import PromptVersion

TEMPLATE = "{{title}} / {{size}}"
VALUES = {"title": "R&D <5 %> {{size}}", "size": "3 mm"}


def by_prompty(language: str) -> str:
    path = Path(sys.argv[1], "a.prompty")
    front = f"template:\n  format: {{kind: {language}}}\n  parser: {{kind: prompty}}"
    model = "model: {id: m, provider: openai, apiType: chat}"
    path.write_text(f"---\nname: a\n{model}\n{front}\n---\nuser:\n{TEMPLATE}\n", encoding="utf-8")
    (message,) = prompty.prepare(prompty.load(path), VALUES)
    return message.parts[0].value


def by_dotprompt() -> str:
    rendered = asyncio.run(Dotprompt().render(TEMPLATE, DataArgument(input=VALUES)))
    return rendered.messages[0].content[0].text


def by_mlflow(*names: str) -> str:
    return PromptVersion("a", 1, TEMPLATE).format(**{name: VALUES[name] for name in names})


for tool, how, text in (
    ("prompty", "jinja2", by_prompty("jinja2")),
    ("prompty", "mustache", by_prompty("mustache")),
    ("dotpromptz", "handlebars", by_dotprompt()),
    ("langfuse", "names", TemplateParser.compile_template(TEMPLATE, VALUES)),
    ("mlflow-skinny", "title, size", by_mlflow("title", "size")),
    ("mlflow-skinny", "size, title", by_mlflow("size", "title")),
):
    print(f"{tool} {version(tool)} ({how}): {text}")
PY
"$work/venv/bin/python" "$work/put.py" "$work" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
prompty 2.1.0 (jinja2): R&D <5 %> {{size}} / 3 mm
prompty 2.1.0 (mustache): R&amp;D &lt;5 %&gt; {{size}} / 3 mm
dotpromptz 0.2.0 (handlebars): R&D <5 %> {{size}} / 3 mm
langfuse 5.0.4 (names): R&D <5 %> {{size}} / 3 mm
mlflow-skinny 3.17.2 (title, size): R&D <5 %> 3 mm / 3 mm
mlflow-skinny 3.17.2 (size, title): R&D <5 %> {{size}} / 3 mm
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
