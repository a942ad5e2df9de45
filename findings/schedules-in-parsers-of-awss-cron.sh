#!/usr/bin/env bash
# When three packages that know AWS's form of cron let one expression run next, after 28 November 2026 at 10:00 UTC.
#
# Matters here: a score watch's schedule is such an expression. Whoever shows its next runs, or tests that it has one
# in each interval, must not show a run that never comes.
#
# Guess: all three agree wherever AWS documents the wildcard, as 1 for Sunday, L, W and #. They may part where it does
# not, as at a range that goes past the end of the week.
#
# Seen, 2026-11-28: they agree on six of ten. "Every 31st" runs on 1 December, says the package of npm, and 29 February
# on 1 March: days that the expression does not name. pyawscron fails at both, and at every tenth day of a month, with
# "day is out of range". The last day of a week, plain `L`, has no run in any: an error in two, silence in the third.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  aws-croniter==2.1.1 pyawscron==1.0.7 python-dateutil==2.9.0.post0
npm install --silent --no-audit --no-fund --prefix "$work" aws-cron-parser@1.1.12 >"$work/npm"

cd "$work"
cat >schedules.json <<'JSON'
["0 8 31 * ? *", "0 8 29 2 ? *", "0 8 1/10 * ? *", "0 8 ? * L *", "0 8 28 12 ? 2026",
 "0 8 ? * 6L *", "0 8 ? * 2#1 *", "0 8 15W * ? *", "50/15 * * * ? *", "0 8 ? * 1 *"]
JSON
cat >next.cjs <<'JS'
const parser = require("aws-cron-parser");
console.log("aws-cron-parser", require("aws-cron-parser/package.json").version);
for (const schedule of require("./schedules.json")) {
  let runs = [];
  try {
    const parsed = parser.parse(schedule);
    for (let run = new Date("2026-11-28T10:00:00Z"); run && runs.length < 2; ) {
      run = parser.next(parsed, run);
      runs.push(run ? run.toISOString().slice(0, 16) : "none");
    }
  } catch {
    runs = ["an error"];
  }
  console.log(`  ${schedule}: ${runs.join(", ")}`);
}
JS
cat >next.py <<'PY'
import datetime
import json
from importlib.metadata import version

from aws_croniter import AwsCroniter
from pyawscron import AWSCron

NOW = datetime.datetime(2026, 11, 28, 10, tzinfo=datetime.timezone.utc)
for package, next_runs in (
    ("aws-croniter", lambda schedule: AwsCroniter(schedule).get_next(NOW, 2)),
    ("pyawscron", lambda schedule: AWSCron.get_next_n_schedule(2, NOW, schedule)),
):
    print(package, version(package))
    for schedule in json.load(open("schedules.json", encoding="utf-8")):
        try:
            runs = [run.strftime("%Y-%m-%dT%H:%M") if run else "none" for run in next_runs(schedule)]
        except Exception:
            runs = ["an error"]
        print(f"  {schedule}: {', '.join(runs)}")
PY
{ node next.cjs; venv/bin/python next.py; } >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
aws-cron-parser 1.1.12
  0 8 31 * ? *: 2026-12-01T08:00, 2026-12-31T08:00
  0 8 29 2 ? *: 2027-03-01T08:00, 2028-02-29T08:00
  0 8 1/10 * ? *: 2026-12-01T08:00, 2026-12-11T08:00
  0 8 ? * L *: an error
  0 8 28 12 ? 2026: 2026-12-28T08:00, none
  0 8 ? * 6L *: 2026-12-25T08:00, 2027-01-29T08:00
  0 8 ? * 2#1 *: 2026-12-07T08:00, 2027-01-04T08:00
  0 8 15W * ? *: 2026-12-15T08:00, 2027-01-15T08:00
  50/15 * * * ? *: 2026-11-28T10:50, 2026-11-28T11:50
  0 8 ? * 1 *: 2026-11-29T08:00, 2026-12-06T08:00
aws-croniter 2.1.1
  0 8 31 * ? *: 2026-12-31T08:00, 2027-01-31T08:00
  0 8 29 2 ? *: 2028-02-29T08:00, 2032-02-29T08:00
  0 8 1/10 * ? *: 2026-12-01T08:00, 2026-12-11T08:00
  0 8 ? * L *: none, none
  0 8 28 12 ? 2026: 2026-12-28T08:00, none
  0 8 ? * 6L *: 2026-12-25T08:00, 2027-01-29T08:00
  0 8 ? * 2#1 *: 2026-12-07T08:00, 2027-01-04T08:00
  0 8 15W * ? *: 2026-12-15T08:00, 2027-01-15T08:00
  50/15 * * * ? *: 2026-11-28T10:50, 2026-11-28T11:50
  0 8 ? * 1 *: 2026-11-29T08:00, 2026-12-06T08:00
pyawscron 1.0.7
  0 8 31 * ? *: an error
  0 8 29 2 ? *: an error
  0 8 1/10 * ? *: an error
  0 8 ? * L *: an error
  0 8 28 12 ? 2026: 2026-12-28T08:00, none
  0 8 ? * 6L *: 2026-12-25T08:00, 2027-01-29T08:00
  0 8 ? * 2#1 *: 2026-12-07T08:00, 2027-01-04T08:00
  0 8 15W * ? *: 2026-12-15T08:00, 2027-01-15T08:00
  50/15 * * * ? *: 2026-11-28T10:50, 2026-11-28T11:50
  0 8 ? * 1 *: 2026-11-29T08:00, 2026-12-06T08:00
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
