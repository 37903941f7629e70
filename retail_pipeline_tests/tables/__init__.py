"""Tests of ``tables/``."""
