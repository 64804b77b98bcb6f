"""Methods that learn through kernel ridge regression: KIP, RFAD, Label Solve."""
