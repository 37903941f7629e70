"""The report: its tables, figures and page.

Belongs here: modules that turn small frames into what people look at. Does not belong here: the tables' SQL
(``tables/``), reading or writing anything (``defs/assets/reports.py``).
"""
