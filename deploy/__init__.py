"""Installing, starting and packaging the five services."""
