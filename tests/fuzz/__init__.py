"""Files of strangers by kind and seed, each tried in a process of its own: python -m tests.fuzz."""
