"""The command line: configuration, flags, and the commands."""
