#!/usr/bin/env bash
# What score evaluation tools give to four examples: two right, one wrong, and one whose call or whose scorer failed.
#
# Matters here: an outage is no wrong answer and no right one. Where it counts as 0, a candidate is blocked for the
# provider's fault; where it is left out in silence, three answers decide for a thousand.
#
# Guess: a failed call is left out by all, so that the mean is 0.667, and the sum says that one failed; Inspect stops the
# whole run. A failed scorer is left out, too, or counts as 0 in one. A run from the command line ends with an exit code
# other than 0, and from Python by an exception in none but Inspect's status.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  inspect-ai==0.3.285 pydantic-evals==2.62.0 deepeval==4.3.1 braintrust==0.48.1 langfuse==5.0.4
