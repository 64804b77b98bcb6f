"""Several sets under the same judges: kernels and networks, a table of them, and a page."""

from stillhouse.analysis.comparison.judging import (
    Contender,
    Judge,
    KernelJudge,
    NetworkJudge,
    Tests,
    fingerprint,
)
from stillhouse.analysis.comparison.page import comparison_page
from stillhouse.analysis.comparison.table import Comparison, Row

__all__ = [
    "Comparison",
    "Contender",
    "Judge",
    "KernelJudge",
    "NetworkJudge",
    "Row",
    "Tests",
    "comparison_page",
    "fingerprint",
]
