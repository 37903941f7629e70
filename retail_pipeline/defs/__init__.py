"""The thin Dagster shell.

Partitions, resources, assets, checks, jobs, schedules, sensors. No logic of the trade.
"""

import warnings

import dagster as dg

# Partitioned checks and mappings beyond the first partition are marked as young by Dagster. They do what we
# need, the version is pinned and tested, and three warnings at every start would teach people to overlook
# warnings.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category, module=r"retail_pipeline\.")
# said within Dagster, of its function by which a team's modules join
warnings.filterwarnings("ignore", message="Function `load_definitions_from_modules`")
