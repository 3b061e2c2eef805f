"""`make docs`: write what is made in docs/ anew."""

import sys

from tests.docs import references


def main():
    for path in references.PAGES:
        made = references.page(path)
        if path.read_text() != made:
            path.write_text(made)
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
