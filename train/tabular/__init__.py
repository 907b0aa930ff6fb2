"""Classifiers of tables."""
