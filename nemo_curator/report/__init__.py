"""The record of a run as numbers, pictures and a page."""

from nemo_curator.report.record import load_record
from nemo_curator.report.write import write_report

__all__ = ["load_record", "write_report"]
