"""What is wrong with a cost, in sentences: one file finds one thing."""
