"""What every room shares, without torch."""
