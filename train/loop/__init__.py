"""Folds, phases, epochs and steps of training."""
