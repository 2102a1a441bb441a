"""Other backward rules for operations inside any function."""
