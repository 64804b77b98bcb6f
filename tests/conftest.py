"""What all tests share."""

import matplotlib

# Figures are drawn into files, on machines without a screen too.
matplotlib.use("Agg")
