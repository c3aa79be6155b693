"""The one exception of the library's edge."""


class GanvasError(Exception):
    """Something the user can mend: the message says what, where and what to do, in one line."""
