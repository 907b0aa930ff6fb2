"""Batches to a model file, metrics and a report."""
