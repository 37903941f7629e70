"""The storm: deliveries as they come in life, a daemon that is killed at random, and what must be left."""
