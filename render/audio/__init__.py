"""Recordings to samples and clips."""
