"""`python -m diffprog.cli`, for where the `diffprog` script is not on the path."""

from diffprog.cli.main import main

main()
