"""Processors, processes and precision."""
