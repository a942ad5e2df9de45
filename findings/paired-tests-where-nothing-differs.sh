#!/usr/bin/env bash
# What paired tests say of two arms that answered all 48 examples alike: 40 right, 8 wrong, in both.
#
# Matters here: a candidate that changes nothing is the commonest case of a gate. Which test a gate uses
# decides whether such a candidate passes, is blocked, or crashes the evaluation.
#
# Guess: McNemar's test, exact or not, says p = 1: there is no discordant pair, so no evidence. scipy's
# paired t-test is nan (0/0), its Wilcoxon test p = 1. The paired equivalence test (TOST) on a margin of
# 0.05 says p = 0 or nan: the difference has no variance.
#
# Seen, 2026-11-27: statsmodels' McNemar test says p = 1 if exact, and if asymptotic p = 0 with the continuity
# correction (its default), nan without: the same data is no evidence, or all the evidence there can be. Its
# equivalence test says p = 0. scipy's t-test is nan, and so is its Wilcoxon test unless zeros are split.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6

"$work/venv/bin/python" -W ignore - >"$work/seen" <<'PY'
from importlib.metadata import version

import numpy
from scipy.stats import ttest_rel, wilcoxon
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.weightstats import ttost_paired

candidate = numpy.array([1.0] * 40 + [0.0] * 8)
champion = candidate.copy()
both = [[40, 0], [0, 8]]


def show(name, test):
    try:
        print(f"  {name}: p = {float(test())}")
    except Exception as error:
        print(f"  {name}: {type(error).__name__}")


print("statsmodels", version("statsmodels"))
show("mcnemar, exact", lambda: mcnemar(both, exact=True).pvalue)
show("mcnemar, asymptotic", lambda: mcnemar(both, exact=False).pvalue)
show(
    "mcnemar, asymptotic, uncorrected",
    lambda: mcnemar(both, exact=False, correction=False).pvalue,
)
show("ttost_paired, margin 0.05", lambda: ttost_paired(candidate, champion, -0.05, 0.05)[0])
print("scipy", version("scipy"))
show("ttest_rel", lambda: ttest_rel(candidate, champion).pvalue)
show("wilcoxon", lambda: wilcoxon(candidate, champion).pvalue)
show("wilcoxon, zsplit", lambda: wilcoxon(candidate, champion, zero_method="zsplit").pvalue)
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
statsmodels 0.15.0
  mcnemar, exact: p = 1.0
  mcnemar, asymptotic: p = 0.0
  mcnemar, asymptotic, uncorrected: p = nan
  ttost_paired, margin 0.05: p = 0.0
scipy 1.17.1
  ttest_rel: p = nan
  wilcoxon: p = nan
  wilcoxon, zsplit: p = 1.0
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
