"""What the columns of a shop's files mean, and how their values become canonical types. Pure."""
