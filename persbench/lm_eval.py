"""lm-eval's own command with persbench's models known to it (`python -m persbench.lm_eval run --model NAME ...`).

Stock lm-eval resolves `--model` before it loads any task, so a model of ours must be imported first.
"""

from __future__ import annotations

import sys

from lm_eval.__main__ import cli_evaluate

from persbench.errors import PersbenchError
from persbench.harness import fake_lm as _fake_lm  # noqa: F401 - registers its model
from persbench.harness import prefix_lm as _prefix_lm  # noqa: F401 - registers its model


def main() -> None:
    """Run lm-eval's command line; persbench's own errors end in one message and exit code 2."""
    try:
        cli_evaluate()
    except PersbenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
