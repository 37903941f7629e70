"""Reading whatever a shop delivers: bytes -> rows of texts, by column.

Belongs here: unpacking (``unpacked.py``), encodings (``texts.py``), records of every kind of file
(``records.py``), second files (``lookups.py``), and which profile reads a file and how (``shapes.py``). Does
not belong here: what the texts mean (``ingest/profiles``), or writing them to the lake (``landing.py``).
"""
