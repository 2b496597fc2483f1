"""Small mistakes, made by a program in the reference answers: tests that let one pass have a gap.

    python tests/grading/mutation.py [STAGE ...]

runs every lab and prints its mutation score and its survivors. Those that cannot be told from the reference by any allowed
input stand in survivors.yaml, with the reason.

Why not cosmic-ray or mutmut: their operators swap comparisons, operators and numbers, but drop no statement, term, mask or
keyword and swap no arguments, and those are the mistakes that students make. Both want to own the test run as well.
"""

import ast
import copy
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from labrun import Lab, Outcome

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.yaml")

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "argmax": "argmin",
    "mean": "sum",
    "sum": "len",
    "ones": "zeros",
    "zeros": "ones",
    "train": "eval",
    "eval": "train",
    "casefold": "lower",
    "search": "match",
    "fullmatch": "match",
    "NFC": "NFD",
}
OTHER_AXIS = {0: 1, 1: 0, -1: 0, 2: 1}


@dataclass(frozen=True)
class Mutant:
    """The reference with one mistake. `name` says which, in words that stay the same when lines move."""

    function: str
    name: str
    code: str


def mutants(function: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of the solution in an answer cell."""
    lines = source.splitlines()
    begin = next(number for number, line in enumerate(lines, 1) if "### BEGIN SOLUTION" in line)
    end = next(number for number, line in enumerate(lines, 1) if "### END SOLUTION" in line)
    tree = ast.parse(source)
    modules = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names: Counter[str] = Counter()
    reference = ast.unparse(tree)
    for number, node in enumerate(ast.walk(tree)):
        if not begin < getattr(node, "lineno", 0) < end or _is_no_part_of_the_answer(node, tree):
            continue
        for other in _mistakes(node, modules):
            mutated = copy.deepcopy(tree)
            # Copies are walked in the order of their originals.
            _replace(mutated, next(copied for place, copied in enumerate(ast.walk(mutated)) if place == number), other)
            code = ast.unparse(ast.fix_missing_locations(mutated))
            if code == reference:
                continue
            name = _change(reference, code)
            names[name] += 1
            yield Mutant(function, f"{name} ({names[name]})" if names[name] > 1 else name, code)


def _mistakes(node: ast.AST, modules: set[str]) -> Iterator[ast.AST]:
    """Yield what may stand in place of a node by mistake."""
    yield from _wrong_values(node)
    yield from _missing_parts(node, modules)
    if isinstance(node, ast.Call):
        yield from _wrong_calls(node)


def _wrong_values(node: ast.AST) -> Iterator[ast.AST]:
    """Comparison or operator swapped, off by one, True for False, min for max."""
    match node:
        case ast.Compare(ops=[operator, *_]):
            for other in COMPARISONS[type(operator)]:
                yield _changed(node, ops=[other(), *node.ops[1:]])
        case ast.BinOp() | ast.AugAssign() if type(node.op) in OPERATORS:
            yield _changed(node, op=OPERATORS[type(node.op)]())
        case ast.BoolOp():
            yield _changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
        case ast.Constant(value=float()):
            yield ast.Constant(node.value * 2 + 1)
        case ast.Constant(value=str()) if node.value in NAMES:
            yield ast.Constant(NAMES[node.value])
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.Attribute(attr=name) if name in NAMES:
            yield _changed(node, attr=NAMES[name])


def _missing_parts(node: ast.AST, modules: set[str]) -> Iterator[ast.AST]:
    """A term, a condition, a mask, a slice, a step of a chain, a statement or a guard left out."""
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.BitAnd() | ast.BitOr()):
            yield node.left
            yield node.right
        case ast.BoolOp(values=[_, _]):
            yield from node.values
        case ast.BoolOp():
            yield from (_changed(node, values=[v for v in node.values if v is not value]) for value in node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Subscript(slice=ast.Slice(lower=None, upper=None)):
            pass  # x[:] makes a list of a column, or a copy: no mistake to leave it out where that is not needed
        case ast.Subscript(ctx=ast.Load(), slice=index) if not isinstance(index, ast.Constant):
            yield node.value
        case ast.Call(func=ast.Attribute(value=receiver)) if getattr(receiver, "id", None) not in modules:
            yield receiver
        case ast.comprehension(ifs=[_, *_]):
            yield _changed(node, ifs=[])
        case ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue() | ast.Expr():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Name(id=name)]) if name in {
            n.id for n in ast.walk(node.value) if hasattr(n, "id")
        }:
            yield ast.Pass()
        case ast.If():
            yield ast.If(ast.Constant(True), node.body, [])
            yield ast.If(ast.Constant(False), node.body, node.orelse)
        case ast.With():
            yield ast.If(ast.Constant(True), node.body, [])
        case ast.FunctionDef(decorator_list=[_, *_]):
            yield _changed(node, decorator_list=[])


def _wrong_calls(call: ast.Call) -> Iterator[ast.AST]:
    """Arguments swapped or left out, another axis."""
    is_symmetric = getattr(call.func, "id", "") in ("min", "max")
    for first in range(0 if is_symmetric else len(call.args) - 1):
        args = list(call.args)
        args[first : first + 2] = reversed(args[first : first + 2])
        if not any(isinstance(arg, ast.Starred) for arg in args):
            yield _changed(call, args=args)
    for keyword in call.keywords:
        rest = [other for other in call.keywords if other is not keyword]
        if keyword.arg != "strict":
            yield _changed(call, keywords=rest)
        axis = getattr(keyword.value, "value", None)
        if keyword.arg in ("axis", "dim") and axis in OTHER_AXIS:
            yield _changed(call, keywords=[*rest, ast.keyword(keyword.arg, ast.Constant(OTHER_AXIS[axis]))])


def _changed(node: ast.AST, **fields) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Put `new` where `old` stands in the tree."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(item is old for item in value):
                value[:] = [new if item is old else item for item in value]
                return


def _is_no_part_of_the_answer(node: ast.AST, tree: ast.AST) -> bool:
    """Say whether a node is a docstring, a type, or the belt beside the braces in zip(…, strict=True)."""
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Expr) and isinstance(parent.value, ast.Constant) and node in (parent, parent.value):
            return True
        if isinstance(parent, ast.keyword) and parent.arg == "strict" and node is parent.value:
            return True
        hints = [getattr(parent, "annotation", None), getattr(parent, "returns", None)]
        if any(hint is not None and node in ast.walk(hint) for hint in hints):
            return True
    return False


def _change(before: str, after: str, context: int = 30) -> str:
    """Return what differs, with as much of its line around it as tells the place: `in range(1, n): -> in range(2, n):`."""
    start = _same_letters(before, after)
    end = _same_letters(before[start:][::-1], after[start:][::-1])
    left = before[:start].rpartition("\n")[2][-context:]
    right = before[len(before) - end :].partition("\n")[0][:context]
    changed = (text[start : len(text) - end] for text in (before, after))
    return " -> ".join(" ".join((left + text + right).split()) or "nothing" for text in changed)


def _same_letters(one: str, other: str) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def survivors(lab: Lab) -> tuple[list[Mutant], Counter, dict[str, float]]:
    """Run every mutant of a lab.

    Returns:
        The mutants that keep their points; how many there are of each function; seconds of processor time per function.
    """
    everyone = [mutant for task in lab.tasks.values() for mutant in mutants(task.function, task.answer.source)]
    outcomes: list[Outcome] = lab.run_answers([(mutant.function, mutant.code) for mutant in everyone])
    spent: Counter = Counter()
    for mutant, outcome in zip(everyone, outcomes, strict=True):
        spent[mutant.function] += outcome.seconds
    alive = [mutant for mutant, outcome in zip(everyone, outcomes, strict=True) if not outcome.is_lost]
    return alive, Counter(mutant.function for mutant in everyone), spent


def equivalent(stage: str) -> dict[str, dict[str, str]]:
    """Return the mutants of a lab that no allowed input can tell from the reference: function -> name -> reason."""
    listed = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {}
    return listed.get(stage) or {}


def main(stages: list[str]) -> None:
    """Print mutation score and survivors of each lab."""
    paths = sorted(ROOT.glob("solutions/*/lab.ipynb"))
    for stage, path in ((path.parent.name, path) for path in paths):
        if stages and stage not in stages:
            continue
        lab = Lab(path)
        alive, made, spent = survivors(lab)
        listed = equivalent(stage)
        unlisted = [mutant for mutant in alive if mutant.name not in listed.get(mutant.function, {})]
        total, same = sum(made.values()), len(alive) - len(unlisted)
        print(
            f"{stage}: {total} mutants, {total - len(alive)} lost their points, {same} are equivalent, "
            f"{len(unlisted)} survive: score {100 * (1 - len(unlisted) / max(1, total - same)):.1f} %"
        )
        for function in lab.tasks:
            mine = [mutant.name for mutant in unlisted if mutant.function == function]
            print(f"  {function}: {made[function]} in {spent[function]:.1f} s, {len(mine)} survive")
            print(*(f"    {name}\n" for name in mine), sep="", end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
