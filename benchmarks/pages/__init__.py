"""Milliseconds to first paint and to a filter, of the console and of the self-contained pages."""
