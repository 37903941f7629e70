"""Pure logic: tables, mappings, rules, plans, segmentations. No Dagster, no I/O, no engine, no clock."""
