"""What is live in a stage, and how it came about: one DynamoDB table, changed by transactions.

`items` says what is stored, `transitions` what a change writes (pure), `table` reads and writes it.
Standard library and boto3 only: the rollback Lambda carries this package.
"""
