"""`python -m optimizer`: the same as the console script."""

from optimizer.cli import main

if __name__ == "__main__":
    main()
