"""From any shop's file to canonical rows: what files may be (``profiles/``, pure), reading, landing."""
