"""The report: its tables, figures and page."""
