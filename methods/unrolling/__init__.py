"""Distillation through gradient steps: a small set is learned, and the size of each step."""
