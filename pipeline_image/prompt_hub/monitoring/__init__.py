"""The score watch: measures what is active, and tells the ledger and CloudWatch."""
