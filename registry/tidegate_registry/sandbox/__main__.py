"""`python -m tidegate_registry.sandbox`: the sandbox without the rest of the command line."""

import sys

from tidegate_registry.sandbox.cli import run

if __name__ == "__main__":
    sys.exit(run())
