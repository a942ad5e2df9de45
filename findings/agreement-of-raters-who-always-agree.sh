#!/usr/bin/env bash
# What packages call the agreement of two raters who give every one of 20 answers the same grade, 5.
#
# Matters here: a judge may gate only if its agreement with people reaches a floor. Labelled sets on
# which people nearly always say 5 are common, and then chance agrees as often as the raters do.
#
# Guess: kappa is 0/0, so all four packages say nan.
#
# Seen, 2026-11-27: scikit-learn and statsmodels say nan, nltk says 1.0 (perfect agreement, which would pass
# any floor), and krippendorff raises ValueError.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  scikit-learn==1.9.1 statsmodels==0.15.0 nltk==3.10.4 krippendorff==0.9.0

"$work/venv/bin/python" -W ignore - >"$work/seen" <<'PY'
from importlib.metadata import version

import krippendorff
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

judge = [5] * 20
people = [5] * 20
table = [[0] * 5 for _ in range(5)]
table[4][4] = 20
triples = [(who, str(n), grade) for who in ("judge", "people") for n, grade in enumerate(judge)]


def show(name, package, statistic):
    try:
        found = float(statistic())
    except Exception as error:
        found = type(error).__name__
    print(f"{package} {version(package)}, {name}: {found}")


show("kappa", "scikit-learn", lambda: cohen_kappa_score(judge, people))
show(
    "quadratic kappa, all grades named",
    "scikit-learn",
    lambda: cohen_kappa_score(judge, people, labels=[1, 2, 3, 4, 5], weights="quadratic"),
)
show("kappa", "statsmodels", lambda: cohens_kappa(table).kappa)
show("kappa", "nltk", lambda: AnnotationTask(data=triples).kappa())
show(
    "alpha, ordinal",
    "krippendorff",
    lambda: krippendorff.alpha([judge, people], level_of_measurement="ordinal"),
)
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
scikit-learn 1.9.1, kappa: nan
scikit-learn 1.9.1, quadratic kappa, all grades named: nan
statsmodels 0.15.0, kappa: nan
nltk 3.10.4, kappa: 1.0
krippendorff 0.9.0, alpha, ordinal: ValueError
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
