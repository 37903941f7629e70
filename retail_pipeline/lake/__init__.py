"""Where tables live: paths, atomic partition writes, manifests, the lock. Never what is in a table."""
