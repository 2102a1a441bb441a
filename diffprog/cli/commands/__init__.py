"""What can be typed: the options of every command, and their help. What it does is in the modules beside this room."""
