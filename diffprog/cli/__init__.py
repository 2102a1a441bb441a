"""The command line: where strings become objects. Everything it does can be done from Python."""
