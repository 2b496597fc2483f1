"""What of a notebook has to be run to grade it: what the tests' kernel needs (`Plan`), and what no kernel does (`left_out`).

Between the tasks of a lab stand cells that show what the answers are good for: tables over the whole corpus, a short training.
They take most of the time of grading, and no score depends on them.
"""

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader.utils import is_solution

from resumen.instructor.rebuild import STUDENT
from resumen.notebooks import is_answer, is_test, names, names_of

LEFT_OUT = "This cell was not run: nothing that is graded depends on it."
"""Stands below such a cell in the notebook that was run."""

LOOKS_AROUND = re.compile(
    r"\b(__main__|__globals__|__builtins__|__import__|builtins|modules|inspect|_getframe|gc|ctypes|user_ns|IPython)\b|\bimport \*"
)
"""What in a student's cell can read or run anything in the notebook: then no cell is left out."""

LOOKS_BY_NAME = {
    "globals",
    "locals",
    "vars",
    "dir",
    "eval",
    "exec",
    "compile",
    "get_ipython",
    "In",
    "Out",
    "_",
    "__",
    "___",
}
"""The same, where it is read as a name: `model.eval()` is not."""

REACHES_OUT = re.compile(
    r"(^|[._])(setup|set_(?!option|printoptions|seed)\w+|setattr|delattr|enable\w*|disable\w*|filterwarnings|simplefilter|register\w*|install|"
    r"patch\w*|environ|chdir|use|download\w*|exec|eval|globals|get_ipython|setdefault|putenv)$|^subprocess\."
)
"""Calls that may change more than the notebook's own objects. What is drawn at random and how tables are shown decide no score."""

WRITES = re.compile(
    r"(^|\.)(open|mkdir|makedirs|unlink|touch|write\w*|save\w*|dump|to_(csv|json|parquet|pickle|excel|sql|file))$"
    r"|^(os\.(remove|rename|replace)|shutil\.\w+)$"
)
"""Calls that may leave files for later cells, unless it is in a temporary folder."""

SHOWS = re.compile(r"^(print|display|report|show)$|seed")
"""Calls whose value nobody takes, and that change nothing that counts."""

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

PREPARES = (*DEFINITIONS, ast.Import, ast.ImportFrom, ast.Try)
"""A cell of nothing else is always run: imports may do anything, and cost nothing in a warm kernel."""


# What is left out -----------------------------------------------------------------------------------------------------


@dataclass
class _Facts:
    """What a cell has to do with the notebook's names.

    Attributes:
        reads: those that it takes from other cells.
        binds: those that it binds.
        tools: of these, modules, functions and classes. Whoever calls one may change what its cell reads.
        parts: those of whose values it sets a part.
        must: it does something besides, or nobody can tell.
    """

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    must: bool = False


def left_out(notebook: nbformat.NotebookNode) -> set[int]:
    """Return the places of the instructor's code cells that need not be run: no test and no answer depends on them.

    In doubt a cell is run: if it imports or sets up, if it does more than compute and show, if it binds what a graded or a student's cell
    reads, directly or through other cells, and if it mentions a variable of theirs, since it may change that. (What a test reads is
    bound by the instructor's cells and changed by none: in two processes, only cells that bind it are run.)
    Nothing is left out if a student's cell looks at the notebook in ways that names do not tell.
    """
    code = {
        place: cell for place, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()
    }
    theirs = {place for place, cell in code.items() if is_answer(cell) or STUDENT in cell.metadata.get("tags", [])}
    tests = {place for place, cell in code.items() if is_test(cell)}
    if not tests or any(_looks_around(code[place].source) for place in theirs):
        return set()
    facts = {place: _facts(cell.source) for place, cell in code.items()}
    tools = set().union(*(one.tools for one in facts.values()))
    no_variables = tools | (set(dir(builtins)) - set().union(*(one.binds for one in facts.values())))
    reached = {place: _reached(one.reads, facts.values()) - no_variables for place, one in facts.items()}

    kept, changing = theirs | tests, set()
    wanted = set().union(*(facts[place].reads for place in kept))
    variables = set().union(*(reached[place] for place in theirs))
    others = [place for place in code if place < max(kept) and place not in kept]
    before = None
    while before != (len(kept), len(changing)):
        before = len(kept), len(changing)
        for place in others:
            one = facts[place]
            if place not in changing and variables & (one.binds | one.parts | reached[place]):
                changing.add(place)
                variables |= reached[place]
            if place not in kept and (place in changing or one.must or one.parts & tools or wanted & one.binds):
                kept.add(place)
                wanted |= one.reads
    return code.keys() - kept


def _reached(names_read: set[str], cells: Iterable[_Facts]) -> set[str]:
    """Return these names and those that the functions among them read, and so on."""
    reached, new = set(), names_read
    while new:
        reached |= new
        new = set().union(*(one.reads for one in cells if one.tools & new)) - reached
    return reached


@lru_cache(maxsize=1024)
def _looks_around(source: str) -> bool:
    reads, _ = names(source)
    history = any(re.fullmatch(r"_i*\d*|_[iod]h", name) for name in reads - {"_"})
    magic = "get_ipython()" in TransformerManager().transform_cell(source)
    own = "_" not in reads or "_" in names(source)[1]  # `for _ in …`
    return magic or history or not own or bool(reads & (LOOKS_BY_NAME - {"_"})) or bool(LOOKS_AROUND.search(source))


@lru_cache(maxsize=1024)
def _facts(source: str) -> _Facts:
    try:
        plain = TransformerManager().transform_cell(source)
        tree = ast.parse(plain)
    except SyntaxError:
        return _Facts(must=True)
    facts = _Facts(must="get_ipython()" in plain or all(isinstance(one, PREPARES) for one in tree.body))
    leaves_files = "TemporaryDirectory" not in source
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            facts.tools |= {name.asname or name.name.partition(".")[0] for name in node.names}
            # `from resumen.text import …` makes `resumen.text` known to whoever has imported `resumen`.
            facts.binds |= {(getattr(node, "module", None) or name.name).partition(".")[0] for name in node.names}
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            facts.must |= bool(REACHES_OUT.search(called)) or (leaves_files and bool(WRITES.search(called)))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and node is not tree.body[-1]:
            # A method may change its object, which has a name. Of another call whose value nobody takes, nobody can tell.
            function, called = node.value.func, ast.unparse(node.value.func)
            is_harmless = SHOWS.search(called) or (WRITES.search(called) and not leaves_files)
            method = isinstance(function, ast.Attribute) and _root(function)
            facts.must |= not method and not is_harmless
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            facts.parts.add(_root(node) or "")
    facts.tools |= {node.name for node in tree.body if isinstance(node, DEFINITIONS)}
    _follow(tree.body, facts, set())
    return facts


def _follow(statements: list[ast.stmt], facts: _Facts, bound: set[str]) -> None:
    """Go through statements in order: what one of them has bound for certain, those after it do not take from other cells."""
    for statement in statements:
        if isinstance(statement, ast.With):
            bound |= _note(ast.With(statement.items, [ast.Pass()]), facts, bound)
            _follow(statement.body, facts, bound)
        elif isinstance(statement, ast.For):
            _note(ast.Expr(statement.iter), facts, bound)
            target = _note(ast.For(statement.target, ast.Tuple([], ast.Load()), [ast.Pass()], []), facts, bound)
            _follow(statement.body, facts, bound | target)
            _follow(statement.orelse, facts, set(bound))
        elif isinstance(statement, ast.If):
            _note(ast.Expr(statement.test), facts, bound)
            _follow(statement.body, facts, set(bound))
            _follow(statement.orelse, facts, set(bound))
        else:
            binds = _note(statement, facts, bound)
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, *DEFINITIONS)):
                bound |= binds


def _note(statement: ast.stmt, facts: _Facts, bound: set[str]) -> set[str]:
    """Note what a statement reads and binds, and return what it binds."""
    reads, binds = names_of(ast.unparse(ast.fix_missing_locations(statement)))
    facts.reads |= reads - bound
    facts.binds |= binds
    return binds


def _root(node: ast.expr) -> str | None:
    """Return the name that an expression such as `corpus["train"].rows` begins with, None if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


# What a test cell needs -----------------------------------------------------------------------------------------------


class Plan:
    """Which of the instructor's cells the tests need, and which names they have to ask the answers for."""

    def __init__(self, source: nbformat.NotebookNode):
        self.cells = [cell for cell in source.cells if cell.cell_type == "code" and not is_solution(cell)]
        self.done: set[str] = set()

    def _before(self, test) -> list:
        name = test.metadata.nbgrader.grade_id
        place = next(
            (
                number
                for number, cell in enumerate(self.cells)
                if is_test(cell) and cell.metadata.nbgrader.grade_id == name
            ),
            len(self.cells),
        )
        return [cell for cell in self.cells[:place] if not is_test(cell)]

    def needed_by(self, test) -> list:
        """Return the instructor's cells before a test that bind what it reads, directly or not, and that were not returned before."""
        before = self._before(test)
        wanted, _ = names(test.source)
        needed = []
        for cell in reversed(before):
            reads, binds = names(cell.source)
            if binds & wanted or "setup(" in cell.source:
                needed.append(cell)
                wanted = wanted | reads
        new = [cell for cell in reversed(needed) if cell.source not in self.done]
        self.done |= {cell.source for cell in new}
        return new

    def asked_by(self, test) -> list[str]:
        """Return the names that a test reads and that no cell of the instructor binds: the answers."""
        reads, binds = names(test.source)
        known = set(dir(builtins)) | {"display", "get_ipython"}
        for cell in self._before(test):
            known |= names(cell.source)[1]
        return sorted(reads - binds - known)
