#!/usr/bin/env bash
# What emulators of DynamoDB make of transactions and numbers that a ledger writes.
#
# Matters here: what is live moves in one transaction, under a condition, or not at all. Where an emulator takes what
# DynamoDB refuses, a test is green for what fails in production.
#
# Guess: moto and ministack agree with the documents on all: one failed condition leaves everything as it was and is
# named in its place among the reasons, two actions on one item are refused, a repeated token writes once and with other
# content is refused, 101 actions are refused. 0.70 comes back as 0.7 and 1.0 as 1; a number of 39 digits is refused.
# vitest-dynamodb-lite, on Dynalite, knows no transactions.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106
