"""The two ends of the line between hidden tests and a student's answers: `Line` in the tests' kernel, `serve` in the answers'.

For each test cell the answers' kernel listens on a Unix socket, and serves until the cell is over. So an
answer always runs in the main thread of its own kernel, where it can be interrupted, and only while its task is tested.
"""

import builtins
import contextlib
import io
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from resumen import lab, own
from resumen.instructor.crossing import AnswerSide, Far, Files, Generators, Remote, TestSide, Uncrossable, receive, send

MAX_OUTPUT = 1 << 16
"""Characters that one call may print. The rest is dropped."""

GRACE = 5.0
"""Seconds beyond its budget after which a call that was interrupted, and did not end, is given up for dead."""

CONNECT = 30.0
"""Seconds in which the answers' kernel must answer the first call."""


class AnswerGone(Exception):
    """The process of the answers is dead, or does not keep to the rules of the line: whatever is asked of it from now on fails."""


class AnswerFault(AssertionError):
    """An answer took too long, ended its own process' work, or returned what cannot cross."""


# In the tests' kernel -------------------------------------------------------------------------------------------------


class Line:
    """The tests' end. One for a submission: it knows how much time is left, and why the answers are gone if they are.

    Args:
        path: the socket at which the answers' kernel listens.
        folder: where tests make temporary files. What they write there and an answer saves there has one path on both sides,
            whether these see one folder or two.
        namespace: of the tests' notebook.
        call_seconds: what one call may take.
        all_seconds: what all calls of the submission may take.
    """

    def __init__(self, path: str, folder: str, namespace: dict, call_seconds: float, all_seconds: float):
        self.path, self.namespace = path, namespace
        self.call_seconds, self.left = call_seconds, all_seconds
        self.gone = ""
        self.connection: socket.socket | None = None
        self.lock = threading.RLock()
        Path(folder).mkdir(exist_ok=True)
        tempfile.tempdir = folder
        lab._define = self.define

    def open(self, source: str) -> None:
        """Begin a test cell with this source: nothing is known to both sides."""
        self.source = source
        self.side, self.generators, self.files = (
            TestSide(self.namespace, self._remote),
            Generators(),
            Files(tempfile.tempdir),
        )
        self._holds: tuple[str, ...] = ()

    def _remote(self, handle: int, names: list[str]) -> Remote:
        return Remote(Far(handle, tuple(names), self._holds, self.ask))

    def fetch(self, names: list[str]) -> None:
        """Bind in the tests' namespace what the answers' kernel has under these names; a name that it lacks is unbound."""
        for name in names:
            self.namespace.pop(name, None)
            try:
                self.namespace[name] = self.ask("name", None, [name], {})
            except NameError:
                pass
            except Exception as error:
                self.namespace[name] = Missing(error)

    def define(self, name: str):
        """Make a helper of the test cell in the answers' kernel, and return its stand-in."""
        return self.ask("define", None, [name, definition(self.source, name)], {})

    def ask(self, operation: str, remote: Remote | None, arguments: list, named: dict):
        """Ask the answers' kernel for one thing and return it; raise what it raises, by name.

        Raises:
            AnswerGone: if it is dead.
            AnswerFault: if the answer takes too long or returns what cannot cross.
        """
        with self.lock:
            if self.gone:
                raise AnswerGone(self.gone)
            if self.connection is None:
                self._connect()
            side = self.side
            side.reached = []
            handle = None if remote is None else remote._far.handle
            request = {"do": operation, "on": handle, "with": [side.encode(one) for one in arguments]}
            request["named"] = {name: side.encode(one) for name, one in named.items()}
            held = () if remote is None else remote._far.holds
            request["states"] = side.changed([*side.reached, *(key for key in held if key not in side.reached)])
            self._holds = request["scope"] = tuple(side.reached)
            request["random"] = self.generators.changed()
            request["files"] = [tempfile.tempdir, self.files.changed()]
            budget = request["seconds"] = min(self.call_seconds, self.left)
            if budget <= 0:
                raise self._give_up("the time of this submission is used up")
            started = time.monotonic()
            try:
                self.connection.settimeout(budget + GRACE)
                send(self.connection, request)
                reply = receive(self.connection)
            except TimeoutError:
                raise self._give_up(f"an answer took more than {budget:.0f} s and could not be interrupted") from None
            except (EOFError, OSError):
                raise self._give_up(
                    "the process of the answers ended: it was killed, crashed, or ran out of memory"
                ) from None
            except Uncrossable as error:
                raise self._give_up(f"the process of the answers sent {error}") from None
            except BaseException:
                self._give_up("a test was interrupted while an answer ran")
                raise
            finally:
                self.left -= time.monotonic() - started
            return self._read(reply)

    def _connect(self) -> None:
        deadline = time.monotonic() + CONNECT
        while True:
            self.connection = socket.socket(socket.AF_UNIX)
            try:
                self.connection.connect(self.path)
                return
            except OSError:
                self.connection.close()
                if time.monotonic() > deadline:
                    raise self._give_up("the process of the answers does not respond") from None
                time.sleep(0.005)

    def _read(self, reply: dict):
        try:
            for stream, text in ((sys.stdout, reply["out"]), (sys.stderr, reply["err"])):
                if type(text) is str and text:
                    stream.write(text[:MAX_OUTPUT])
            self.generators.set(reply["random"])
            self.files.set(reply["files"])
            self.side.refresh(reply["states"])
            if "raised" in reply:
                names, message = reply["raised"]
                raised = _error(names, message)
            else:
                return self.side.decode(reply["value"])
        except Uncrossable as error:
            raise AnswerFault(f"Your code returned {error}.") from None
        except Exception as error:
            raise self._give_up(f"the process of the answers sent no reply: {type(error).__name__}") from None
        raise raised

    def _give_up(self, reason: str) -> AnswerGone:
        self.gone = reason
        self.close()
        return AnswerGone(reason)

    def close(self) -> None:
        """End the serving of this test cell."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Missing:
    """Stands for an answer that could not be fetched: to use it raises why."""

    def __init__(self, error: Exception):
        self._error = error

    def __call__(self, *arguments, **named):
        raise self._error


def _error(names: list, message: str) -> Exception:
    """Return an exception of the name that an answer raised, a child of the built-in one that it is a child of."""
    names = [name for name in names if type(name) is str] if type(names) is list else []
    message = message if type(message) is str else ""
    kinds = [getattr(builtins, name, None) for name in names]
    base = next((one for one in kinds if isinstance(one, type) and issubclass(one, Exception)), None)
    if base is None or not names:
        return AnswerFault(f"Your code raised {names[0] if names else 'something'}: {message}")
    kind = type(names[0], (base,), {"__str__": lambda self: message, "__module__": "builtins"})
    return kind.__new__(kind)


def definition(source: str, name: str) -> str:
    """Return the source of a helper of a test cell, without its decorators."""
    import ast
    import textwrap

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            return textwrap.dedent("\n".join(lines))
    raise LookupError(f"the test cell defines no {name}")


# In the answers' kernel -----------------------------------------------------------------------------------------------


class TookTooLong(BaseException):
    """Raised in an answer that has used up its time. No `except Exception` holds it up."""


def serve(path: str, namespace: dict, tasks: list[str] = ()) -> None:
    """Answer what the tests ask until they close the line.

    Args:
        path: the socket to listen at, where this kernel was not given one that listens already.
        namespace: the student's.
        tasks: the graded functions that this test cell is about: the package's own are out of reach meanwhile.
    """
    given = os.environ.get("RESUMEN_ANSWERS_FD")
    if given:
        listener = socket.socket(fileno=os.dup(int(given)))
    else:
        Path(path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
    with contextlib.closing(listener):
        listener.settimeout(CONNECT)
        connection, _ = listener.accept()
        connection.settimeout(None)
    server = _Server(namespace)
    with own.out_of_reach(*tasks), contextlib.closing(connection), warnings.catch_warnings():
        # What `quiet` does in the tests' process.
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        while True:
            try:
                request = receive(connection)
            except (EOFError, OSError):
                return
            send(connection, server.reply(request))


class _Server:
    def __init__(self, namespace: dict):
        self.namespace = namespace
        self.side, self.generators = AnswerSide(namespace), Generators()
        self.files: Files | None = None

    def reply(self, request: dict) -> dict:
        out, err = _Printed(), _Printed()
        reply = {}
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                self.generators.set(request["random"])
                folder, changes = request["files"]
                self.files = self.files or Files(folder)
                self.files.set(changes)
                self.side.update(request["states"])
                with _limit(request["seconds"]):
                    reply["value"] = self.side.encode(self._do(request))
            except TookTooLong:
                message = f"it took more than {request['seconds']:.0f} s: is there a loop that does not end?"
                reply = {"raised": [["TookTooLong"], message]}
            except BaseException as error:
                reply = {"raised": [[one.__qualname__ for one in type(error).__mro__], _message(error)]}
        scope = request["scope"]
        try:
            reply["states"] = self.side.changed(scope)
            reply["random"] = self.generators.changed()
            reply["files"] = self.files.changed()
        except BaseException as error:
            reply["states"], reply["random"], reply["files"] = {}, None, None
            reply["raised"] = [["AnswerFault"], f"its arguments cannot be sent back: {_message(error)}"]
        reply["out"], reply["err"] = out.getvalue(), err.getvalue()
        return reply

    def _do(self, request: dict):
        do, on = request["do"], request["on"]
        arguments = [self.side.decode(one) for one in request["with"]]
        named = {name: self.side.decode(one) for name, one in request["named"].items()}
        target = None if on is None else self.side.handles[on]
        if do == "name":
            if arguments[0] not in self.namespace:
                raise NameError(f"name {arguments[0]!r} is not defined")
            return self.namespace[arguments[0]]
        if do == "define":
            name, source = arguments
            exec(compile(source, f"<{name} of the tests>", "exec"), self.namespace)
            return self.namespace[name]
        if do == "call":
            return target(*arguments, **named)
        if do == "attribute":
            return getattr(target, arguments[0])
        if do == "set":
            return setattr(target, *arguments)
        if do == "item":
            return target[arguments[0]]
        if do == "contains":
            return bool(arguments[0] in target)
        if do == "length":
            return len(target)
        if do == "truth":
            return bool(target)
        if do == "iterator":
            return _Iterator(iter(target))
        if do == "next":
            try:
                return (next(target),)
            except StopIteration:
                return ()
        return repr(target)[:1000]


class _Iterator:
    """Keeps an iterator from being taken for a list: it is asked for one item after the other."""

    def __init__(self, iterator):
        self.iterator = iterator

    def __next__(self):
        return next(self.iterator)


class _Printed(io.StringIO):
    def write(self, text):
        return super().write(text) if self.tell() < MAX_OUTPUT else len(text)


def _message(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except BaseException:
        return ""


@contextlib.contextmanager
def _limit(seconds: float):
    """Raise `TookTooLong` in the block when the time is over. Only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second: an answer may catch the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
