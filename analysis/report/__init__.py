"""The report of a distilled set: what is measured, its charts, and one self-contained page."""

from stillhouse.analysis.report.baselines import SupportSet, baseline_sets
from stillhouse.analysis.report.contents import Command, Contents, LeftOut, report_files
from stillhouse.analysis.report.krr import Kernel, KrrTable, TestImages, krr_table, sample_test
from stillhouse.analysis.report.networks import Networks, train_on_each

__all__ = [
    "Command",
    "Contents",
    "Kernel",
    "KrrTable",
    "LeftOut",
    "Networks",
    "SupportSet",
    "TestImages",
    "baseline_sets",
    "krr_table",
    "report_files",
    "sample_test",
    "train_on_each",
]
