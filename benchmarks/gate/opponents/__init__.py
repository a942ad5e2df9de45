"""Rules that others decide by, on the same differences as the gate."""
