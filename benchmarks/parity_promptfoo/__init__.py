"""The importer against promptfoo itself: the same configurations through both, test by test."""
