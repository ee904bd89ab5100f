"""The record of a run as numbers, pictures and a page."""

from nemo_curator.report.record import load_record
from nemo_curator.report.write import add_report, write_report

__all__ = ["add_report", "load_record", "write_report"]
