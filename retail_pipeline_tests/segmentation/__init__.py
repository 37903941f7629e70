"""Tests of ``segmentation/``."""
