"""What rendering leaves on disk: pictures, tables, journal."""
