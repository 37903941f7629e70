"""Tests of ``campaigns/``."""
