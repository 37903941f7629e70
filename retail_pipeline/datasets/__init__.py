"""Data to try the pipeline on: real sets from their homes, and a generator. The pipeline never imports it."""
