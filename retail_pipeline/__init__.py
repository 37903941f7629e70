"""retail_pipeline: a shop's raw transaction files in; history, RFM features, segments and campaign lists out.

Start with ``definitions.py`` (what Dagster sees), ``tables/`` (the tables) and ``planning/plan.py``
(what must run). Nothing is imported here, so that every entry point pays only for what it uses.
"""
