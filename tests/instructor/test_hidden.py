"""Two processes: what crosses, and what an answer that would rather not be one can do about it."""

import sys

import nbformat
import pytest
from nbgrader.utils import determine_grade

from resumen.instructor import sandbox
from resumen.instructor.hidden import NOT_RUN, SingleProcessExecute, TwoProcessExecute
from resumen.instructor.provisioner import SANDBOX, WARM, kernelspecs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a warm server needs Linux")
BOXED = WARM if sandbox.available() else SANDBOX

TOTAL = """
with task("Task 1 · total"):
    expect(total([1, 2]), 3, hint="add them up")
### BEGIN HIDDEN TESTS
with quiet():
    for numbers, wanted in [([], 0), ([7], 7), ([5, -3, 4], 6), ([0.5, 0.25], 0.75)]:
        assert total(numbers) == wanted, f"the total of {numbers}"
### END HIDDEN TESTS
"""

WORDS = """
with task("Task 2 · tokenize_words"):
    expect(tokenize_words("Un AÑO"), ["un", "año"], hint="lower case")
### BEGIN HIDDEN TESTS
with quiet():
    assert tokenize_words("no, no") == ["no", "no"], "words"
### END HIDDEN TESTS
"""

LAST = """
with task("Task 3 · last"):
    expect(last([1, 2]), 2, hint="the last one")
"""

REFERENCE = {
    "total": "def total(numbers):\n    return sum(numbers)",
    "words": "import re\ndef tokenize_words(text):\n    return re.findall(r'\\w+', text.casefold())",
    "last": "def last(items):\n    return items[-1]",
}


def notebook(**answers):
    """Return a notebook of three tasks, worth 4, 2 and 1 points, with these answers in place of the reference."""
    cells = [nbformat.v4.new_code_cell("from resumen.lab import expect, expect_error, quiet, task")]
    for (name, answer), tests, points in zip(REFERENCE.items(), (TOTAL, WORDS, LAST), (4, 2, 1), strict=True):
        about = {"schema_version": 3, "locked": False, "task": False}
        cells.append(nbformat.v4.new_code_cell(answers.get(name, answer)))
        cells[-1].metadata.nbgrader = {**about, "grade_id": name, "solution": True, "grade": False}
        cells.append(nbformat.v4.new_code_cell(tests.strip()))
        cells[-1].metadata.nbgrader = {
            **about,
            "grade_id": f"{name}-tests",
            "solution": False,
            "grade": True,
            "points": points,
        }
    return nbformat.v4.new_notebook(cells=cells)


def scores(executed):
    """Return {task: (score, what its error says)}."""
    found = {}
    for cell in executed.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            why = [one.evalue for one in cell.outputs if one.output_type == "error"]
            found[cell.metadata.nbgrader.grade_id.removesuffix("-tests")] = determine_grade(cell)[0], "".join(why)
    return found


def run(answers, **options):
    made = TwoProcessExecute(
        source=notebook(),
        answer_kernel=BOXED,
        test_kernel=WARM,
        call_timeout=2,
        timeout=20,
        max_output=10_000,
        **options,
    )
    executed, resources = made.preprocess(notebook(**answers), {})
    return executed, resources["resumen"]["reason"]


@pytest.fixture(scope="module", autouse=True)
def kernels():
    with kernelspecs():
        yield


GOES_ON, ENDS = [2, 1], [0, 0]

HOSTILE = {
    # name: (answer to `total`, the scores of the two tasks after it, words of the reason)
    "equal to everything": (
        "class Yes:\n    __eq__ = __ne__ = lambda self, other: True\n    __hash__ = None\ndef total(numbers):\n    return Yes()",
        GOES_ON,
        "Got",
    ),
    "a number that is equal to everything": (
        "class Yes(int):\n    __eq__ = lambda self, other: True\n    __sub__ = __rsub__ = lambda self, other: Yes()\n"
        "    __abs__ = lambda self: Yes()\n    __le__ = __lt__ = lambda self, other: True\n"
        "def total(numbers):\n    return Yes()",
        GOES_ON,
        "Got 0",
    ),
    "claims to be of a class": (
        "class Any:\n    __eq__ = lambda self, other: True\n    __class__ = int\nAny.__module__ = 'builtins'\n"
        "def total(numbers):\n    return Any()",
        GOES_ON,
        "Got",
    ),
    "display hook": (
        "import sys\ndef total(numbers):\n    sys.displayhook(4)\n    get_ipython().display_pub.publish({'text/plain': '4'})\n    return 4",
        GOES_ON,
        "Got 4",
    ),
    "patched checks": (
        "import builtins, resumen.lab as lab\nnothing = lambda *a, **k: None\nlab.expect = expect = lab._same = nothing\n"
        "lab._same = lambda *a: True\nbuiltins.AssertionError = type('Fine', (Exception,), {})\n"
        "import contextlib\nlab.task = task = lab.quiet = quiet = contextlib.suppress\ndef total(numbers):\n    return None",
        GOES_ON,
        "Got None",
    ),
    "tests without asserts": (
        "import ast\nclass Gone(ast.NodeTransformer):\n    def visit_Assert(self, node):\n        return ast.Pass()\n"
        "    def visit_Expr(self, node):\n        return ast.Pass()\n"
        "get_ipython().ast_transformers.append(Gone())\ndef total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "cells replaced by nothing": (
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])\ndef total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "cells that are not run": (
        "async def do_execute(*a, **k):\n    return {'status': 'ok', 'execution_count': 1, 'user_expressions': {}, 'payload': []}\n"
        "get_ipython().kernel.do_execute = do_execute\ndef total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "forged replies": (
        "import resumen.instructor.answers as a\n"
        "a._Server.reply = lambda self, request: {'value': True, 'states': {}, 'random': None, 'files': None, 'out': '', 'err': ''}\n"
        "def total(numbers):\n    return 0",
        ENDS,
        "'bool' object is not callable",
    ),
    "replies that break the rules": (
        "import resumen.instructor.answers as a\na._Server.reply = lambda self, request: {'value': ['shared', 'os']}\n"
        "def total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "a code of its own": (
        "import resumen.instructor.answers as a\n"
        "a._Server.reply = lambda self, request: {'value': ['class', 'os', 'system'], 'states': {}, 'random': None, 'files': None, "
        "'out': '', 'err': ''}\ndef total(numbers):\n    return 0",
        ENDS,
        "cannot be sent",
    ),
    "files outside": (
        "import resumen.instructor.answers as a\nreply = a._Server.reply\ndef forged(self, request):\n"
        "    return {**reply(self, request), 'files': [[], [['../../resumen-was-here', b'x']]]}\n"
        "a._Server.reply = forged\ndef total(numbers):\n    return 0",
        ENDS,
        "cannot be sent",
    ),
    "noise on the line": (
        "import resumen.instructor.answers as a\na.send = lambda connection, message: connection.sendall(b'\\xff' * 4096)\n"
        "def total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "a server of its own": (
        "import sys, types\nfake = types.ModuleType('fake')\n"
        "def serve(path, namespace, tasks=()):\n    import time\n    time.sleep(0.1)\n"
        "fake.serve = serve\nsys.modules['resumen.instructor.answers'] = fake\ndef total(numbers):\n    return 0",
        ENDS,
        "",
    ),
    "looks for the tests in frames": (
        "import sys\ndef total(numbers):\n    frame = sys._getframe()\n    while frame:\n"
        "        if 'wanted' in frame.f_locals:\n            return frame.f_locals['wanted']\n        frame = frame.f_back\n    return -1",
        GOES_ON,
        "Got -1",
    ),
    "looks for the tests in memory": (
        "import gc\ndef total(numbers):\n    for one in gc.get_objects():\n"
        "        if type(one) is tuple and len(one) == 2 and one[0] == numbers and one[0] is not numbers:\n            return one[1]\n"
        "    return -1",
        GOES_ON,
        "Got -1",
    ),
    "looks for the tests on the disk": (
        "import pathlib\ndef total(numbers):\n    for root in ('/tmp', '.', '..', '/proc/1/cwd'):\n"
        "        for path in pathlib.Path(root).glob('**/*.ipynb'):\n"
        "            if 'wanted' in path.read_text():\n                return 'found'\n    return -1",
        GOES_ON,
        "",
    ),
    "changes what the test holds": (
        "def total(numbers):\n    numbers[:] = [0] * 4\n    return 0",
        GOES_ON,
        "Got 0",
    ),
    "raises what means: not attempted": (
        "def total(numbers):\n    raise NotImplementedError",
        GOES_ON,
        "not attempted",
    ),
    "raises to leave": ("import sys\ndef total(numbers):\n    sys.exit(0)", GOES_ON, "SystemExit"),
    "raises an interrupt": ("def total(numbers):\n    raise KeyboardInterrupt", GOES_ON, "KeyboardInterrupt"),
    "an error that cannot be read": (
        "class Bad(Exception):\n    def __str__(self):\n        raise SystemExit\ndef total(numbers):\n    raise Bad",
        GOES_ON,
        "Bad",
    ),
    "too deep": (
        "def total(numbers):\n    made = []\n    for _ in range(100_000):\n        made = [made]\n    return made",
        GOES_ON,
        "",
    ),
    "endless": ("def total(numbers):\n    return iter(int, 1)", GOES_ON, "Got"),
    "an endless loop": ("def total(numbers):\n    while True:\n        pass", GOES_ON, "more than 2 s"),
    "an endless loop that is not stopped": (
        "def total(numbers):\n    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass",
        ENDS,
        "more than 2 s",
    ),
    "switches off its alarm": (
        "import signal\ndef total(numbers):\n    signal.setitimer(signal.ITIMER_REAL, 0)\n    while True:\n        pass",
        ENDS,
        "more than 2 s",
    ),
    "ends its process when called": ("import os\ndef total(numbers):\n    os._exit(0)", ENDS, "ended"),
    "ends its process at once": ("import os\nos._exit(0)", ENDS, "died"),
    "crashes": ("import ctypes\ndef total(numbers):\n    ctypes.string_at(0)", ENDS, "crashed"),
    "closes the line": (
        "import os\ndef total(numbers):\n    os.closerange(3, 200)\n    return 0",
        ENDS,
        "",
    ),
    "says too much": (
        "print('x' * 1_000_000)\ndef total(numbers):\n    print('y' * 1_000_000)\n    return -1",
        GOES_ON,
        "Got -1",
    ),
    "the imported key": ("from resumen.text import tokenize_words as total", GOES_ON, "raised"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers(name):
    """Each ends with a score and a reason, and gets nothing."""
    answer, after, words = HOSTILE[name]
    executed, reason = run({"total": answer})
    found = scores(executed)
    assert found["total"][0] == 0
    assert found["total"][1], "no reason"
    assert words in found["total"][1]
    assert [found["words"][0], found["last"][0]] == after, found
    assert not reason if after == GOES_ON else found["last"][1]


def test_the_imported_key():
    executed, reason = run({"words": "from resumen.text import tokenize_words"})
    found = scores(executed)
    assert [score for score, _ in found.values()] == [4, 0, 1] and not reason
    assert "This is the course's own function (resumen.text.tokenize_words): write yours." in found["words"][1]


def test_reference_and_stubs():
    executed, reason = run({})
    assert [score for score, _ in scores(executed).values()] == [4, 2, 1] and not reason
    executed, _ = run({"words": "def tokenize_words(text):\n    raise NotImplementedError", "last": "last = 5"})
    found = scores(executed)
    assert [score for score, _ in found.values()] == [4, 0, 0]
    assert "not attempted" in found["words"][1]


def test_what_an_answer_prints_stands_in_the_test():
    executed, _ = run({"last": "def last(items):\n    print('looking')\n    return items[-1]"})
    assert "looking" in "".join(one.get("text", "") for one in executed.cells[-1].outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "words"),
    [("import os\nos._exit(1)", "died"), ("while True:\n    pass", "more than 2 s")],
    ids=["dead", "endless"],
)
def test_one_process_survives_too(answer, words):
    made = SingleProcessExecute(kernel_name=WARM, timeout=2)
    executed, _ = made.preprocess(notebook(words=answer), {})
    found = scores(executed)
    assert found["total"][0] == 4 and found["words"][0] == 0
    failed = [
        one for cell in executed.cells for one in cell.outputs if one.output_type == "error" and one.ename == NOT_RUN
    ]
    assert words in failed[0].evalue
