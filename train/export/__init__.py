"""A model in other forms."""
