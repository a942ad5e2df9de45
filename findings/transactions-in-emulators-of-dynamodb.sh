#!/usr/bin/env bash
# What emulators of DynamoDB make of transactions and numbers that a ledger writes.
#
# Matters here: what is live moves in one transaction, under a condition, or not at all. Where an emulator takes what
# DynamoDB refuses, a test is green for what fails in production.
#
# Guess: moto and ministack agree with the documents on all: one failed condition leaves everything as it was and is
# named in its place among the reasons, two actions on one item are refused, a repeated token writes once and with other
# content is refused, 101 actions are refused. 0.70 comes back as 0.7 and 1.0 as 1; a number of 39 digits is refused.
#
# Seen, 2026-11-28: ministack gave the answers of the guess each time. moto does not look at the token: the same request
# adds twice, and other content under it is written as well, so that a client which asks again counts double there. It
# gives numbers back as they were written, takes 39 digits, and a comparison of a number with a text cancels the
# transaction by Python's own TypeError, where a condition failed. Both take <> on what is not there.
set -euo pipefail

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; wait "$server" || true; fi; rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106 \
  py-partiql-parser==0.6.3
"$work/ministack/bin/pip" install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106

cd "$work"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1
cat >write.py <<'PY'
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TABLE = "ledger"


def look():
    db = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    db.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    db.get_waiter("table_exists").wait(TableName=TABLE)

    def put(key, n="1", condition=None, value=None):
        action = {"TableName": TABLE, "Item": {"pk": {"S": key}, "n": {"N": n}}}
        if condition:
            action["ConditionExpression"] = condition
        if value:
            action["ExpressionAttributeValues"] = {":v": value}
        return {"Put": action}

    def add(key):
        one = {":one": {"N": "1"}}
        key = {"pk": {"S": key}}
        return {"Update": {"TableName": TABLE, "Key": key, "UpdateExpression": "ADD n :one",
                           "ExpressionAttributeValues": one}}

    def check(key):
        return {"ConditionCheck": {"TableName": TABLE, "Key": {"pk": {"S": key}},
                                   "ConditionExpression": "attribute_exists(pk)"}}

    def number(key):
        item = db.get_item(TableName=TABLE, Key={"pk": {"S": key}}, ConsistentRead=True).get("Item")
        return item["n"]["N"] if item else "nothing"

    def show(name, *calls, left, token=None):
        answers = []
        for actions in calls:
            try:
                db.transact_write_items(TransactItems=actions, **({"ClientRequestToken": token} if token else {}))
                answers.append("written")
            except ClientError as error:
                reasons = [
                    each["Code"] + (" with item" if "Item" in each else "")
                    for each in error.response.get("CancellationReasons", [])
                ]
                answers.append(error.response["Error"]["Code"] + (f" ({', '.join(reasons)})" if reasons else ""))
        print(f"  {name}: {'; '.join(answers)}, left {', '.join(map(number, left))}")

    show("one condition of three fails", [put("a"), check("none"), put("b")], left=("a", "b"))
    db.put_item(TableName=TABLE, Item={"pk": {"S": "old"}, "n": {"N": "5"}})
    asking = put("old", "6", "attribute_not_exists(pk)")
    asking["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    show("the old item is asked for", [asking], left=("old",))
    show("a put and an addition to one item", [put("c"), add("c")], left=("c",))
    show("a check and a put of one item", [check("old"), put("old", "6")], left=("old",))
    show("a token twice", [add("d")], [add("d")], left=("d",), token="t1")
    show("a token with other content", [add("e")], [add("f")], left=("e", "f"), token="t2")
    show("101 actions", [put(f"g{n}") for n in range(101)], left=("g0",))
    show("n <> 3 where nothing is", [put("h", "1", "n <> :v", {"N": "3"})], left=("h",))
    show("n = 1.00 where n is 1", [put("i")], [put("i", "2", "n = :v", {"N": "1.00"})], left=("i",))
    show("n < a text", [put("j")], [put("j", "2", "n < :v", {"S": "3"})], left=("j",))
    for n in ("0.70", "1.0", "1e3", "-0", "0." + "1" * 38, "0." + "1" * 39):
        show(f"the number {n}", [put(f"n{n}", n)], left=(f"n{n}",))
PY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port DOCKER_HOST=unix://$work/none.sock ministack/bin/ministack >log 2>&1 &
server=$!
for _ in $(seq 300); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>none; then break; fi
  sleep 0.2
done
{
  moto/bin/pip list | grep '^moto ' | tr --squeeze-repeats ' '
  moto/bin/python -c 'from moto import mock_aws; from write import look; mock_aws()(look)()'
  ministack/bin/pip list | grep '^ministack ' | tr --squeeze-repeats ' '
  AWS_ENDPOINT_URL=http://127.0.0.1:$port ministack/bin/python -c 'from write import look; look()'
} >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
moto 5.2.5
  one condition of three fails: TransactionCanceledException (None, ConditionalCheckFailed, None), left nothing, nothing
  the old item is asked for: TransactionCanceledException (ConditionalCheckFailed with item), left 5
  a put and an addition to one item: ValidationException, left nothing
  a check and a put of one item: ValidationException, left 5
  a token twice: written; written, left 2
  a token with other content: written; written, left 1, 1
  101 actions: ValidationException, left nothing
  n <> 3 where nothing is: written, left 1
  n = 1.00 where n is 1: written; written, left 2
  n < a text: written; TransactionCanceledException (TypeError), left 1
  the number 0.70: written, left 0.70
  the number 1.0: written, left 1.0
  the number 1e3: written, left 1e3
  the number -0: written, left -0
  the number 0.11111111111111111111111111111111111111: written, left 0.11111111111111111111111111111111111111
  the number 0.111111111111111111111111111111111111111: written, left 0.111111111111111111111111111111111111111
ministack 1.5.33
  one condition of three fails: TransactionCanceledException (None, ConditionalCheckFailed, None), left nothing, nothing
  the old item is asked for: TransactionCanceledException (ConditionalCheckFailed with item), left 5
  a put and an addition to one item: ValidationException, left nothing
  a check and a put of one item: ValidationException, left 5
  a token twice: written; written, left 1
  a token with other content: written; IdempotentParameterMismatchException, left 1, nothing
  101 actions: ValidationException, left nothing
  n <> 3 where nothing is: written, left 1
  n = 1.00 where n is 1: written; written, left 2
  n < a text: written; TransactionCanceledException (ConditionalCheckFailed), left 1
  the number 0.70: written, left 0.7
  the number 1.0: written, left 1
  the number 1e3: written, left 1000
  the number -0: written, left 0
  the number 0.11111111111111111111111111111111111111: written, left 0.11111111111111111111111111111111111111
  the number 0.111111111111111111111111111111111111111: ValidationException, left nothing
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
