#!/usr/bin/env bash
# What three packages with price tables say that a million tokens cost, by the same name of a model.
#
# Matters here: a forecast, a budget and the cost of a release are tokens times a price. Whoever takes the price from a
# package trusts its table.
#
# Guess: for models that have been sold for months the three agree to the cent. A package that knows no price for
# cached tokens charges the full one, or says so.
#
# Seen, 2026-11-28: they agree on OpenAI's models. For mistral-large-latest one table has a quarter of what the two
# others say, for deepseek-chat each has its own, one of them by the hour, and for cached tokens of Gemini one is 2.5
# times the others. tokencost has no cached price for Mistral's and DeepSeek's, and genai-prices, which has none for
# mistral-large-latest either, charges the full one: the same calls cost nothing, a tenth or all of it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip="$work/venv/bin/pip install --quiet --no-compile --disable-pip-version-check"
$pip genai-prices==0.2.3
$pip --no-deps litellm==1.110.2 tokencost==0.1.26

cat >"$work/prices.py" <<'PY'
import json
from datetime import UTC, datetime
from importlib.metadata import distribution, version

from genai_prices import Usage, calc_price

TABLES = {
    "litellm": "litellm/model_prices_and_context_window_backup.json",
    "tokencost": "tokencost/model_prices.json",
}
MODELS = (
    ("openai", "gpt-4.1-mini"),
    ("openai", "gpt-5-mini"),
    ("google", "gemini-2.5-pro"),
    ("mistral", "mistral-small-latest"),
    ("mistral", "mistral-large-latest"),
    ("deepseek", "deepseek-chat"),
)
KINDS = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")


def of_table(package: str, provider: str, model: str) -> list[str]:
    table = json.loads(distribution(package).locate_file(TABLES[package]).read_text())
    entry = next(table[name] for name in (model, f"{provider}/{model}") if name in table)
    return ["none" if not entry.get(kind) else f"{entry[kind] * 1e6:.4g}" for kind in KINDS]


def of_genai_prices(provider: str, model: str, hour: int) -> list[str]:
    at = datetime(2026, 11, 28, hour, tzinfo=UTC)
    part = 100_000
    usages = (
        Usage(input_tokens=part, output_tokens=0),
        Usage(input_tokens=part, cache_read_tokens=part, output_tokens=0),
        Usage(input_tokens=0, output_tokens=part),
    )
    asked = [calc_price(usage, model_ref=model, provider_id=provider, genai_request_timestamp=at) for usage in usages]
    prices = [answer.total_price for answer in asked]
    return [f"{float(price) * 1_000_000 / part:.4g}" for price in prices]


for package in (*TABLES, "genai-prices"):
    print(package, version(package))
print("  dollars a million tokens: new, cached, written")
for provider, model in MODELS:
    rows = {package: of_table(package, provider, model) for package in TABLES}
    rows["genai-prices"] = of_genai_prices(provider, model, 12)
    if (evening := of_genai_prices(provider, model, 20)) != rows["genai-prices"]:
        rows["genai-prices at 20:00 UTC"] = evening
    print(f"  {model}: " + "; ".join(f"{package} {', '.join(row)}" for package, row in rows.items()))
PY
"$work/venv/bin/python" "$work/prices.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
litellm 1.110.2
tokencost 0.1.26
genai-prices 0.2.3
  dollars a million tokens: new, cached, written
  gpt-4.1-mini: litellm 0.4, 0.1, 1.6; tokencost 0.4, 0.1, 1.6; genai-prices 0.4, 0.1, 1.6
  gpt-5-mini: litellm 0.25, 0.025, 2; tokencost 0.25, 0.025, 2; genai-prices 0.25, 0.025, 2
  gemini-2.5-pro: litellm 1.25, 0.125, 10; tokencost 1.25, 0.3125, 10; genai-prices 1.25, 0.125, 10
  mistral-small-latest: litellm 0.15, 0.015, 0.6; tokencost 0.1, none, 0.3; genai-prices 0.15, 0.015, 0.6
  mistral-large-latest: litellm 0.5, 0.05, 1.5; tokencost 2, none, 6; genai-prices 2, 2, 6
  deepseek-chat: litellm 0.28, 0.028, 0.42; tokencost 0.14, none, 0.28; genai-prices 0.27, 0.07, 1.1; genai-prices at 20:00 UTC 0.135, 0.035, 0.55
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
