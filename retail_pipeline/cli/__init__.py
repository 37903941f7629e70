"""The ``retail-pipeline`` command: one noun a file."""
