"""Tests; mirrors the package."""
