"""One module a layer: the assets that make its tables."""
