"""Matching what real and synthetic images do to networks: gradients, features, trajectories."""
