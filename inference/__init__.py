"""A model file and pictures, songs or libraries to answers."""
