"""What a report is put together from: its subject, kernels, networks, and commands to repeat it."""
