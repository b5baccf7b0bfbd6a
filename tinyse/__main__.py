"""`python -m tinyse` is the command line."""

from tinyse.cli import main

main()
