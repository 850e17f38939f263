"""`python -m lithoscope`."""

from lithoscope.cli import main

if __name__ == "__main__":
    main()
