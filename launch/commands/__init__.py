"""The commands, one a file: `run` of each takes its settings and returns the exit code."""
