"""How a stage is started: `python -m stages.NAME --dataset D [--model M]`."""

import argparse
import inspect
import logging
import os
import sys
from collections.abc import Callable

from ganvas import config
from ganvas.errors import GanvasError

INTERRUPTED = 130  # what a shell reports after Ctrl-C


def run(main: Callable[..., None]) -> None:
    """Call `main` with an option for each of its parameters; a `GanvasError` ends in one line.

    A positional-only parameter is an argument without a name, a `bool` a switch.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for library in ("alembic", "matplotlib", "mlflow", "filelock", "PIL"):
        logging.getLogger(library).setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    options = inspect.signature(main).parameters
    for name, option in options.items():
        if option.kind is option.POSITIONAL_ONLY:
            parser.add_argument(name, nargs="?", default=option.default)
        elif isinstance(option.default, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", required=option.default is option.empty)
    arguments = vars(parser.parse_args())
    try:
        if "dataset" in options:
            config.load().check_names(arguments["dataset"], arguments.get("model"))
        unnamed = [
            arguments.pop(name)
            for name, option in options.items()
            if option.kind is option.POSITIONAL_ONLY
        ]
        main(*unnamed, **arguments)
        sys.stdout.flush()
    except GanvasError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # `| head` has read enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a full disk, a folder that cannot be read
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror}; mend that and run again")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
