"""A model file at work: pictures and recordings in, answers out. python -m app shows the page."""
