"""Where an answer came from, and what became of a version: a chain whose every hop is verified."""
