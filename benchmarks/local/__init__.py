"""Where people wait on their own machine: the first run, the next one, a push, the tests."""
