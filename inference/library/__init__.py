"""A library of music, kept in an index."""
