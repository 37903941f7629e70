"""Tests of ``planning/``."""
