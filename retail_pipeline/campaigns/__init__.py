"""Who gets which offer. Pure."""
