"""Where recordings and their labels come from."""
