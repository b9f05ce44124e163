"""The full coupled model in a handful of states: made off line, measured, stepped in C."""
