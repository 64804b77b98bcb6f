"""Methods that learn through kernel ridge regression: KIP, Label Solve."""
