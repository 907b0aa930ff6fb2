"""What an answer hangs on."""
