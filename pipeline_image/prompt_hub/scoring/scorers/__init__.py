"""One file a scorer type, called like it: settings, scorer, rules and words.

Whatever lies here is imported and registered by `scoring/registry.py`; docs/scorers.md tells
people about each.
"""
