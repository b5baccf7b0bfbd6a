"""`python -m tinyse` is the command line."""

from tinyse.cli import main

# A spawned process imports this file again, and must not start over.
if __name__ == "__main__":
    main()
