"""Tables of features to examples."""
