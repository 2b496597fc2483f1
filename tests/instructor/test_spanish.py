"""The Spanish of grading: every sentence that the modules can say of a submission has one, read from their sources.

`test_rebuild` asks the same of what they do say."""

import ast
import inspect
import itertools
import re
from types import ModuleType

import pytest

from resumen.check import cells, match
from resumen.instructor import answers, forkserver, grade, hidden, job, spanish
from resumen.instructor.spanish import in_spanish, message_in_spanish

SAID = {
    cells: {"CourseError": 0},
    match: {"CourseError": 0},
    hidden: {"mark": 1},
    forkserver: {"stop": 0},
    answers: {"_give_up": 0},
    grade: {"_give_up": 1},
    job: {"fail": 1, "append": 0},
}
"""The calls that say something of a submission, with the place of the text among their arguments."""

UNSAID = {"7", "7: 7", forkserver.STOPPED, forkserver.LEFT}
"""What has no words of ours, and what nobody is told."""


class Said(ast.NodeVisitor):
    """Collects what a module says; what its source does not tell of a text is 7."""

    def __init__(self, module: ModuleType):
        self.module, self.places = module, SAID[module]
        self.texts: set[str] = set()
        self.functions: list[ast.AST] = []
        self.visit(ast.parse(inspect.getsource(module)))

    def visit_FunctionDef(self, node):
        self.functions.append(node)
        self.generic_visit(node)
        self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in self.places and len(node.args) > self.places[name]:
            self.texts |= {*self.options(node.args[self.places[name]])}
        if name == "Fault":
            whats, dones = self.options(node.args[0]), self.options(node.args[2])
            where = "Cell 7 (answer cell seven) "
            self.texts |= {
                f"{where if what[0].islower() else ''}{what}: {done}." for what, done in itertools.product(whats, dones)
            }
        self.generic_visit(node)

    def visit_Return(self, node):
        if self.functions[-1].name == "why":
            self.texts |= {*self.options(node.value)}
        self.generic_visit(node)

    def visit_Assign(self, node):
        if getattr(node.targets[0], "attr", getattr(node.targets[0], "id", "")) in ("broken", "reason"):
            self.texts |= {*self.options(node.value)}
        self.generic_visit(node)

    def options(self, node: ast.AST) -> list[str]:
        """Return what a text can be."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            parts = [self.options(part) or ["7"] for part in node.values]
            return ["".join(some) for some in itertools.product(*parts)]
        if isinstance(node, ast.FormattedValue):
            return self.options(node.value)
        if isinstance(node, ast.IfExp):
            return self.options(node.body) + self.options(node.orelse)
        if isinstance(node, ast.BoolOp):
            return [text for value in node.values for text in self.options(value)]
        if not isinstance(node, ast.Name):
            return []
        if node.id == "name" and self.module is cells:
            return ["The file"]
        if isinstance(known := getattr(self.module, node.id, None), str):
            return [known]
        assigned = [one for one in ast.walk(self.functions[-1]) if isinstance(one, ast.Assign)]
        mine = [one.value for one in assigned if getattr(one.targets[0], "id", "") == node.id]
        return [text for value in mine for text in self.options(value)]


def assert_spanish(english):
    told = in_spanish(english)
    assert told and not told.startswith(spanish.UNKNOWN[:20]), english
    assert not re.search(r"[{}]|\b(the|it|was|were|cells?|not|is|of|more|than)\b", told), told


@pytest.mark.parametrize("module", SAID, ids=lambda module: module.__name__)
def test_all_that_can_be_said_has_its_spanish(module):
    texts = Said(module).texts - {"", *UNSAID}
    assert texts
    for english in texts:
        assert_spanish(english)


def test_words_inside():
    for kind in cells.KINDS_OF_FILE.values():
        assert_spanish(f"The file is not a notebook but {kind}: take the .ipynb file itself.")
    for reason in forkserver.ACCIDENTS:
        assert_spanish(f"the kernel died: {reason}")
    assert in_spanish(
        "Cell 3 and 4 (answer cell clean-text) has lost its nbgrader metadata, like 2 more: it was found by its place."
    ) == (
        "En las celdas 3 y 4 (celda de respuesta clean-text) faltan los metadatos de nbgrader (lo mismo en otras 2): "
        "se reconoció por su lugar."
    )
    assert in_spanish("the kernel died: it used more than 3072 MB of memory") == (
        "el kernel se detuvo: usó más de 3072 MB de memoria"
    )
    assert in_spanish("The file is damaged (cell 3 has no metadata and no known type): it was put right.") == (
        "El archivo está dañado (en la celda 3 no se encuentran los metadatos y un tipo conocido): se arregló."
    )


def test_words_of_others_are_quoted():
    assert in_spanish("OSError: No space left") == (
        "El programa que corrige dio este aviso, en inglés: «OSError: No space left»."
    )
    assert in_spanish("") == ""
    assert message_in_spanish("Got 4, expected 2.\nit took more than 5 s: is there a loop that does not end?") == (
        "Got 4, expected 2.\ntardó más de 5 s: ¿hay un bucle que no termina?"
    )
