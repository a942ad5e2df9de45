#!/usr/bin/env bash
# By which names the words of an enumeration are written in clients that are generated from an OpenAPI document.
#
# Matters here: a task's output has a closed list of words (packages, units, tolerances), the service's OpenAPI
# document carries it, and whoever calls the service generates a client from that.
#
# Guess: each generator finds two names for two words, or says that it cannot. A name says its word, and stays what it
# is when the list is written in another order.
#
# Seen, 2026-11-28: of seven generators one, orval, keeps all five pairs apart under names that order does not change. In
# swagger-typescript-api `MΩ` is a milliohm where mΩ stands first, and `Value5` is +5 % or -5 %. openapi-python-client
# refuses four pairs and says so; turned round, one of them goes through and the first word is gone.
# datamodel-code-generator's Python cannot be imported with both signs for micro, as Python takes the two names for one.
# openapi-typescript writes one name twice, which is no TypeScript. Neither says a word. In five of seven some name says
# another word when a list is written in another order. Without `--enum`, openapi-typescript writes the words themselves.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  datamodel-code-generator==0.89.0 openapi-python-client==0.29.1
cd "$work"
npm install --silent --no-save --no-audit --no-fund --prefix "$work" \
  openapi-typescript@7.13.0 @hey-api/openapi-ts@0.99.0 orval@8.38.0 quicktype@26.0.0 \
  swagger-typescript-api@13.13.0

cat >"$work/generate.py" <<'PY'
import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

PAIRS = (("SOT-23", "SOT_23"), ("mΩ", "MΩ"), ("\u00b5F", "\u03bcF"), ("X7R", "x7r"), ("+5 %", "-5 %"))
NPM = ("openapi-typescript", "@hey-api/openapi-ts", "orval", "quicktype", "swagger-typescript-api")
BIN = "node_modules/.bin"
HEY = "export default {{ input: '{api}', output: '{out}', plugins: [{{ name: '@hey-api/typescript', enums: 'typescript' }}] }};"


def document(words: tuple[str, ...]) -> dict:
    unit = {"type": "string", "enum": list(words)}
    part = {"type": "object", "required": ["unit"], "properties": {"unit": {"$ref": "#/components/schemas/Unit"}}}
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Part"}}}
    run = {"operationId": "run", "responses": {"200": {"description": "the fields", "content": answer}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parts", "version": "1"},
        "paths": {"/run": {"get": run}},
        "components": {"schemas": {"Part": part, "Unit": unit}},
    }


def commands(folder: Path) -> dict[str, tuple[list[str], str]]:
    api, schema = folder / "api.json", folder / "part.json"
    (folder / "hey.mjs").write_text(HEY.format(api=api, out=folder / "hey"))
    return {
        "datamodel-code-generator": (
            ["venv/bin/datamodel-codegen", "--input", f"{api}", "--input-file-type", "openapi", "--formatters", "builtin",
             "--output-model-type", "pydantic_v2.BaseModel", "--output", f"{folder}/models.py"], "models.py"),
        "openapi-python-client": (
            ["venv/bin/openapi-python-client", "generate", "--path", f"{api}", "--meta", "none",
             "--output-path", f"{folder}/client"], "client/models/unit.py"),
        "openapi-typescript --enum": (
            [f"{BIN}/openapi-typescript", f"{api}", "--enum", "-o", f"{folder}/ot.ts"], "ot.ts"),
        "@hey-api/openapi-ts": ([f"{BIN}/openapi-ts", "-f", f"{folder}/hey.mjs"], "hey/types.gen.ts"),
        "orval": ([f"{BIN}/orval", "--input", f"{api}", "--output", f"{folder}/orval.ts"], "orval.ts"),
        "quicktype": (
            [f"{BIN}/quicktype", "-s", "schema", f"{schema}", "--lang", "python", "-o", f"{folder}/quick.py"], "quick.py"),
        "swagger-typescript-api": (
            [f"{BIN}/swagger-typescript-api", "generate", "-p", f"{api}", "-o", f"{folder}/sta", "-n", "sta.ts"],
            "sta/sta.ts"),
    }


def refusal(made: Path, found: list[tuple[str, str]]) -> str:
    """Say how the generated file's own language refuses it, if it does."""
    if made.suffix == ".py":
        call = ["venv/bin/python", "-c", f"import runpy; runpy.run_path({str(made)!r})"]
        done = subprocess.run(call, capture_output=True, text=True)
        return "cannot be imported" if "already defined" in done.stderr else ""
    names = [name for name, _ in found]
    return f"{names[0]} twice" if len(names) > len(set(names)) else ""


def names(generator: str, words: tuple[str, ...], folder: Path) -> dict[str, str] | str:
    folder.mkdir(parents=True)
    api = document(words)
    (folder / "api.json").write_text(json.dumps(api))
    schema = {"$ref": "#/definitions/Part", "definitions": api["components"]["schemas"]}
    (folder / "part.json").write_text(json.dumps(schema).replace("components/schemas", "definitions"))
    call, made = commands(folder)[generator]
    done = subprocess.run(call, capture_output=True, text=True)
    if not (folder / made).exists():
        return "refused" if "Duplicate key" in done.stdout + done.stderr else done.stdout + done.stderr
    text = (folder / made).read_text()
    body = re.search(r"(?:class|enum|const) Unit\b.*?(?=\n\n|\n}|\Z)", text, re.DOTALL)[0]
    found = re.findall(r"""^\s+["']?([^"'=:]+?)["']?\s*[:=]\s*(["'].*?["']),?$""", body, re.MULTILINE)
    return refusal(folder / made, found) or {json.loads(f'"{word[1:-1]}"'): name for name, word in found}


for package in ("datamodel-code-generator", "openapi-python-client"):
    print(package, version(package))
for package in NPM:
    print(package, json.loads(Path("node_modules", package, "package.json").read_text())["version"])


def shown(words: tuple[str, ...], made: dict[str, str] | str) -> str:
    return made if isinstance(made, str) else " | ".join(made.get(word, "gone") for word in words)


for number, generator in enumerate(commands(Path("."))):
    print(generator)
    for place, pair in enumerate(PAIRS):
        orders = (pair, pair[::-1])
        one, other = (
            shown(pair, names(generator, order, Path(f"made/{number}-{place}-{turn}")))
            for turn, order in enumerate(orders)
        )
        print(f"    {' and '.join(pair)}: {one}" + (f", the other way round {other}" if other != one else ""))
PY
"$work/venv/bin/python" "$work/generate.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
datamodel-code-generator 0.89.0
openapi-python-client 0.29.1
openapi-typescript 7.13.0
@hey-api/openapi-ts 0.99.0
orval 8.38.0
quicktype 26.0.0
swagger-typescript-api 13.13.0
datamodel-code-generator
    SOT-23 and SOT_23: SOT_23 | SOT_23_1, the other way round SOT_23_1 | SOT_23
    mΩ and MΩ: mΩ | MΩ
    µF and μF: cannot be imported
    X7R and x7r: X7R | x7r
    +5 % and -5 %: field_5__ | field_5___1, the other way round field_5___1 | field_5__
openapi-python-client
    SOT-23 and SOT_23: refused, the other way round SOT_23 | gone
    mΩ and MΩ: refused
    µF and μF: refused
    X7R and x7r: refused
    +5 % and -5 %: VALUE_0 | VALUE_1, the other way round VALUE_1 | VALUE_0
openapi-typescript --enum
    SOT-23 and SOT_23: SOT_23 twice
    mΩ and MΩ: m_ | M_
    µF and μF: _F twice
    X7R and x7r: X7R | x7r
    +5 % and -5 %: Plus5_ | ValueMinus5_
@hey-api/openapi-ts
    SOT-23 and SOT_23: SOT_23 | SOT_232, the other way round SOT_232 | SOT_23
    mΩ and MΩ: M_Ω | MΩ
    µF and μF: Μ_F | Μ_F2, the other way round Μ_F2 | Μ_F
    X7R and x7r: X7R | X7R2, the other way round X7R2 | X7R
    +5 % and -5 %: +5 % | -5 %
orval
    SOT-23 and SOT_23: SOT-23 | SOT_23
    mΩ and MΩ: mΩ | MΩ
    µF and μF: µF | μF
    X7R and x7r: X7R | x7r
    +5 % and -5 %: +5_% | -5_%
quicktype
    SOT-23 and SOT_23: SOT_23 | UNIT_SOT_23, the other way round UNIT_SOT_23 | SOT_23
    mΩ and MΩ: M_Ω | MΩ
    µF and μF: Μ_F | UNIT_Μ_F, the other way round UNIT_Μ_F | Μ_F
    X7R and x7r: X7_R | UNIT_X7_R, the other way round UNIT_X7_R | X7_R
    +5 % and -5 %: THE_5 | UNIT_5, the other way round UNIT_5 | THE_5
swagger-typescript-api
    SOT-23 and SOT_23: SOT23 | SOT_23
    mΩ and MΩ: MΩ | MΩ1, the other way round MΩ1 | MΩ
    µF and μF: ValueF | ValueΜF
    X7R and x7r: X7R | X7R1, the other way round X7R1 | X7R
    +5 % and -5 %: Value5 | Value51, the other way round Value51 | Value5
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
