"""What is there, what should be, and what must run. Pure: no Dagster, engine, files, clock or environment."""
