"""The words of the trace: one vocabulary for the exceptions of both worlds."""
import errno

from gevent import GreenletExit, Timeout
from gevent.exceptions import BlockingSwitchOutError, LoopExit


class ProgramOver(BaseException):
    """Ends the greenlets that a program has left behind."""


class Error(Exception):
    """An error of the program's own: its kind, and its number."""

    def __init__(self, kind, number):
        Exception.__init__(self)
        self.kind = kind
        self.number = number


def value_word(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, GreenletExit):
        return 'exit'
    return str(value)


def os_word(error):
    names = {errno.EBADF: 'EBADF', errno.EPIPE: 'EPIPE', errno.ECONNRESET: 'ECONNRESET'}
    return 'os %s' % names.get(error.errno, error.errno)


def error_word(error):
    """The name of an exception that is not a scope's timeout."""
    if isinstance(error, Error):
        return '%s%d' % (error.kind, error.number)
    if isinstance(error, GreenletExit):
        return 'exit'
    if isinstance(error, Timeout):
        return 'timeout'
    if isinstance(error, LoopExit):
        return 'LoopExit'
    if isinstance(error, BlockingSwitchOutError):
        return 'Blocking'
    if isinstance(error, SystemExit):
        return 'system'
    return 'other: %s: %s' % (type(error).__name__, error)
