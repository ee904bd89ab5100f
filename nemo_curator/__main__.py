"""`python -m nemo_curator` is the command `curator`."""

import sys

from nemo_curator.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
