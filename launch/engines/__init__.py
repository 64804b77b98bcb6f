"""Engines: who computes the tasks of a run, and how it is started and ended."""
