"""`python -m nerve` is `nerve`."""

from nerve.cli import main

if __name__ == "__main__":
    main()
