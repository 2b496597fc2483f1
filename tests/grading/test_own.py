"""An answer is the student's own: the course's version of a graded function is worth nothing as an answer, however it is got hold of."""

import sys
from importlib import import_module

import pytest
from labrun import Lab, in_fresh_process
from test_labs import FUNCTIONS, ROOT

from resumen import own
from resumen.files import PROJECT
from resumen.setup import PROJECTS, STAGES

NOTEBOOKS = {stage: ROOT / "solutions" / stage / "lab.ipynb" for stage in STAGES}
NOTEBOOKS |= {project: ROOT / "solutions" / project / PROJECT for project in PROJECTS}

WATCH = "import os; os.environ['RESUMEN_QUICK'] = '1'; import resumen.own; resumen.own.watch()"
"""What a lab's kernel does on its own."""

BORROWED = {
    "import": "from resumen.{module} import {name}",
    "alias": "import resumen.{module} as m\n{name} = m.{name}",
    "call": "import resumen.{module} as m\ndef {name}(*a, **k):\n    return m.{name}(*a, **k)",
    "lambda": "import resumen.{module} as m\n{name} = lambda *a, **k: m.{name}(*a, **k)",
    "captured": "import resumen.{module} as m\ndef {name}(*a, _f=m.{name}, **k):\n    return _f(*a, **k)",
    "closure": "def make():\n    from resumen.{module} import {name} as f\n    return lambda *a, **k: f(*a, **k)\n{name} = make()",
    "partial": "import functools, resumen.{module} as m\n{name} = functools.partial(m.{name})",
    "importlib": "import importlib\ndef {name}(*a, **k):\n    return importlib.import_module('resumen.{module}').{name}(*a, **k)",
    "sys.modules": "import sys\ndef {name}(*a, **k):\n    return sys.modules['resumen.{module}'].{name}(*a, **k)",
    "dictionary": "import resumen.{module} as m\ndef {name}(*a, **k):\n    return vars(m)['{name}'](*a, **k)",
    "subprocess": "import subprocess, sys\ndef {name}(*a, **k):\n    subprocess.run([sys.executable, '-c', ''])",
}
"""Answers that borrow when they are called, or whose object is the course's own."""

COPIED = {
    "code": "import types, resumen.{module} as m\nf = m.{name}\n"
    "{name} = types.FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__)\n{name}.__kwdefaults__ = f.__kwdefaults__",
    "renamed code": "import types, resumen.{module} as m\nf = m.{name}\n"
    "{name} = types.FunctionType(f.__code__.replace(co_filename='mine.py'), f.__globals__, 'mine', f.__defaults__)",
    "cell's code": "import types, resumen.{module} as m\nf = m.{name}\n"
    "{name} = types.FunctionType(f.__code__.replace(co_filename='ipykernel_1/cell.py'), f.__globals__, 'mine', f.__defaults__)",
    "code of another": "import resumen.{module} as m\ndef {name}(): ...\n{name}.__code__ = m.{name}.__code__",
    "source": "import resumen.{module} as m\nspace = dict(vars(m))\nexec(open(m.__file__).read(), space)\n{name} = space['{name}']",
    "inspect": "import inspect, resumen.{module} as m\nspace = dict(vars(m))\nexec(inspect.getsource(m.{name}), space)\n{name} = space['{name}']",
    "loader": "import resumen.{module} as m\nspace = dict(vars(m))\n"
    "exec(m.__loader__.get_code(m.__name__), space)\n{name} = space['{name}']",
    "loaded again": "import importlib.util, resumen.{module} as m\nspec = importlib.util.spec_from_file_location('mine', m.__file__)\n"
    "mine = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(mine)\n{name} = mine.{name}",
    "imported again": "import sys, resumen.{module}\nkept = sys.modules.pop('resumen.{module}')\n"
    "try:\n    from resumen.{module} import {name}\nfinally:\n    sys.modules['resumen.{module}'] = kept",
    "bytecode": "import marshal, importlib.util, resumen.{module} as m\nspace = dict(vars(m))\n"
    "exec(marshal.loads(open(m.__cached__, 'rb').read()[16:]), space)\n{name} = space['{name}']",
    "released lab": "import json, resumen\nfrom pathlib import Path\n"
    "json.loads((Path(resumen.__file__).parent / 'data/labs/stage1_corpus.ipynb').read_text())\n{name} = None",
    "solution": f"open({str(ROOT / 'solutions' / 'stage1_corpus' / 'lab.ipynb')!r}).read()\n{{name}} = None",
}
"""Answers that copy before they are called. They fail in their own cell: here the error is kept for the tests to show."""

CLASSES = {
    "import": BORROWED["import"],
    "child": "import resumen.{module} as m\nclass {name}(m.{name}): pass",
    "methods": "import resumen.{module} as m\nclass {name}(*m.{name}.__bases__):\n"
    "    def __init__(self, *a, **k): pass\n"
    "    on_log = lambda self, *a, **k: m.{name}.on_log(self, *a, **k)\n"
    "    __call__ = lambda self, *a, **k: m.{name}.__call__(self, *a, **k)",
    "source": COPIED["source"],
}

WORDS = ("the course's own", "An answer starts no other program", "could not get source code")

OTHERS = {
    "weighted_kappa": "from resumen.projects.capstone import raters\n"
    "def weighted_kappa(a, b, scale):\n    return raters.kappa(a, b, scale, 'quadratic')",
    "tokenize_words": "from resumen.metrics import WordTokenizer\ntokenize_words = WordTokenizer().tokenize",
    "split_sentences": "from resumen.baselines import copy_text\n"
    "def split_sentences(text, language):\n    return copy_text(text, language).split('\\n')",
    "stress": "from resumen.projects.capstone.robustness import STRESSES\n"
    "def stress(text, kind):\n    return STRESSES[kind].apply(text)",
}
"""Answers that borrow what is the same under another name, or what passes the work on."""


def modules_of(function):
    return [module for module, names in own.KEY.items() if function in names.split()]


def kept(source, name):
    """Return the source of a cell that defines, if it fails, an answer that raises what it failed with."""
    body = "\n".join(f"    {line}" for line in source.splitlines())
    return f"try:\n{body}\nexcept Exception as error:\n    why = str(error)\n    def {name}(*a, **k):\n        raise AssertionError(why)"


def borrowed(function):
    """Return (form, code) of each answer to a task that is the course's own."""
    answers = []
    for module in modules_of(function):
        forms = CLASSES if function in ("NanGuard", "Summarizer") else {**BORROWED, **COPIED}
        for form, code in forms.items():
            code = code.format(module=module, name=function)
            answers.append((f"{form} of {module}", kept(code, function) if form in COPIED else code))
    return answers


def try_all(answers):
    """Run each (function, form, code) as a cell, call what it defines while its task is tested, and return what is raised."""
    from resumen import own

    own.watch()
    said = {}
    for function, form, code in answers:
        namespace = {}
        exec(compile(code, "<ipython-input-cell>", "exec"), namespace)
        try:
            with own.out_of_reach(function):
                made = namespace[function]()
                made = made.on_log(None, None, None) if function == "NanGuard" else made("A text.")
            said[function, form] = "nothing"
        except Exception as error:
            said[function, form] = f"{type(error).__name__}: {error}"
    return said


def test_the_courses_own_is_no_answer():
    graded = sorted({name for names in own.KEY.values() for name in names.split()})
    answers = [(function, *answer) for function in graded for answer in borrowed(function)]
    said = in_fresh_process(try_all, answers)
    assert len(said) > 20 * len(graded)
    assert {answer: error for answer, error in said.items() if not any(word in error for word in WORDS)} == {}


@pytest.mark.parametrize("stage", ["stage3_rouge_baseline", "capstone"])
def test_the_checks_say_so(stage):
    """A whole lab: what a student reads, whether a visible or a hidden test meets the answer first."""
    lab = Lab(NOTEBOOKS[stage])
    answers = [(function, form, code) for function in lab.tasks for form, code in borrowed(function)]
    answers += [(function, "another name", OTHERS[function]) for function in lab.tasks if function in OTHERS]
    outcomes = lab.run_answers([(function, code) for function, _, code in answers], start=WATCH)
    said = {answer[:2]: outcome.error for answer, outcome in zip(answers, outcomes, strict=True)}
    assert len(said) >= len(lab.tasks)
    assert {answer: error for answer, error in said.items() if not any(word in error for word in WORDS)} == {}


def test_every_name_of_the_key_is_there():
    for function in {name for names in own.KEY.values() for name in names.split()} | set(own.ALSO):
        for name in own.key_of(function):
            assert own._functions(name), name


def test_every_task_with_a_namesake_is_in_the_key():
    """A task whose answer is a reading, such as a diagnosis, has none."""
    graded = {function for functions in FUNCTIONS.values() for function in functions.split()}
    modules = [import_module(f"resumen.{module}") for module in own.KEY]
    namesakes = {function for function in graded if any(hasattr(module, function) for module in modules)}
    assert len(namesakes) > 40
    assert {function for function in namesakes if not modules_of(function)} == set()


class TestOutOfReach:
    def test_only_in_the_block(self):
        from resumen import text
        from resumen.text import tokenize_words as held

        with own.out_of_reach("tokenize_words"), own.out_of_reach("tokenize_words"):
            for function in (held, text.tokenize_words, sys.modules["resumen.text"].tokenize_words):
                with pytest.raises(
                    own.NotYourOwn, match=r"the course's own function \(resumen.text.tokenize_words\): write yours"
                ):
                    function("a b")
            assert text.split_sentences("It is. It was.", "en") == ["It is.", "It was."]  # later tasks use it
        assert held("A b") == ["a", "b"]

    def test_a_name_that_is_none(self):
        with own.out_of_reach("no_such_function"):
            pass
