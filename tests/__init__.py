"""Tests, flat: one file per module or script."""
