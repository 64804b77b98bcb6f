"""Engines: who computes the kernel blocks of a run, and how it is started and ended."""
