"""How this project's programs end: what a person can mend in one line, and the exit codes."""

import argparse
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ganvas import config
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.workflow import instances
from ganvas.workflow.instances import DataSet, Instance

INTERRUPTED = 130  # what a shell reports after Ctrl-C
# What a stage works on -> its options, and how it is read.
WORKED_ON: dict[type, tuple[tuple[str, ...], Callable[..., Any]]] = {
    Params: ((), config.load),
    DataSet: (("dataset",), instances.data_set),
    Instance: (("dataset", "model"), instances.instance),
}


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Exit with 1 and a line where the user can mend something, with 130 after Ctrl-C."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ganvas").setLevel(logging.INFO)  # of other libraries only what is wrong
    try:
        yield
        sys.stdout.flush()
    except GanvasError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # `| head` has read enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a full disk, a folder that cannot be read
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror}; mend that and run again")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run_stage(main: Callable[[Any], None]) -> None:
    """Call a stage's `main` with what its argument is: params, a data set, or a model on one.

    The latter are given as `--dataset D` and `--model M`.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    of = next(iter(inspect.signature(main).parameters.values())).annotation
    names, load = WORKED_ON[of]
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    arguments = vars(parser.parse_args())
    with errors_in_one_line():
        main(load(*(arguments[name] for name in names)))
