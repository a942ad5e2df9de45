"""The running service: pointers followed from the ledger, prompts answered over HTTP."""
