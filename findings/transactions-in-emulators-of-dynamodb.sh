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
servers=
trap 'for server in $servers; do kill "$server"; wait "$server" || true; done; rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106 \
  py-partiql-parser==0.6.3
"$work/ministack/bin/pip" install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
npm install --silent --no-audit --no-fund --prefix "$work" dynalite@4.0.0 >"$work/npm"

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
    show("the old item is asked for", [put("old", "5")], left=("old",))
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
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() {
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>none; then return; fi
    sleep 0.2
  done
}
look() { AWS_ENDPOINT_URL=http://127.0.0.1:$1 moto/bin/python -c 'from write import look; look()'; }
stack=$(free)
GATEWAY_PORT=$stack DOCKER_HOST=unix://$work/none.sock ministack/bin/ministack >log-stack 2>&1 &
servers="$servers $!"
lite=$(free)
node_modules/.bin/dynalite --port "$lite" --createTableMs 0 >log-lite 2>&1 &
servers="$servers $!"
{
  moto/bin/pip list | grep '^moto ' | tr --squeeze-repeats ' '
  moto/bin/python -c 'from moto import mock_aws; from write import look; mock_aws()(look)()'
  ministack/bin/pip list | grep '^ministack ' | tr --squeeze-repeats ' '
  await "$stack"; look "$stack"
  npm list --depth 0 | grep --only-matching 'dynalite.*'
  await "$lite"; look "$lite"
} >seen
cat seen
