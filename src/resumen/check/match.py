"""Put a student's answers into the notebook that was released, whatever happened to the cells on the way.

`resumen check --repair` and grading share this: the first writes the result in place of the student's file, the second adds
the hidden tests and runs it. An answer is known by nbgrader's id, by the cell's id, by its text or by what it defines.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import nbformat

from resumen.check.cells import REPAIR, Cell, Fault, plain
from resumen.errors import CourseError
from resumen.notebooks import STUB, grading_of, is_answer, is_test

SET_ASIDE = """\
## Set aside by `resumen check --repair`

These texts have no place in the lab: a second answer to the same task, or a change of a cell that is not an answer.
Nothing of yours was deleted. Copy what you need into your answer cells, then delete this cell.
"""

LEAST_MERGED = 24
"""Letters of the shortest cell that is looked for inside another one."""


@dataclass
class Choice:
    """What fills a place of the released notebook. Cells are numbers into the list of the student's cells.

    Attributes:
        cells: those whose texts together are the answer; none if there is none.
        rivals: other versions of it, which do not count.
        is_guess: it was found by what it defines, or by where it stands.
    """

    cells: list[int]
    rivals: list[int] = field(default_factory=list)
    is_guess: bool = False


def mend(
    released: nbformat.NotebookNode, cells: list[Cell], heading: str = SET_ASIDE
) -> tuple[nbformat.NotebookNode, list[Fault]]:
    """Put the answers into the released notebook.

    Every text and picture of the student's is in the result: as an answer, as a cell of their own where it stood, or set aside at the end.

    Args:
        released: the notebook as students got it.
        cells: those of the student's notebook, from `read_cells`.
        heading: what stands above the texts that are set aside.

    Returns:
        The mended notebook, and what was wrong; nothing if nbgrader would have graded the student's as it was.

    Raises:
        CourseError: if these are not the cells of that notebook.
    """
    _refuse_others(released, cells)
    cells, faults = _take_apart(released, cells)
    claims = _claims(released, cells)
    choices = {
        place: _choose(released, place, cells, claims) for place, cell in enumerate(released.cells) if is_answer(cell)
    }
    # Prose that stands where a written answer belongs may stand there in any notebook.
    known = [place for place in claims if place is not None and grading_of(released.cells[place])]
    if not known and not any(
        choice.cells for place, choice in choices.items() if released.cells[place].cell_type == "code"
    ):
        raise CourseError("This notebook has no answer and no test cell of the lab: is it the right file?")
    support = _support(released)
    for place in range(len(released.cells)):
        faults += _faults(released, place, cells, claims, choices.get(place), place in support)
    faults += _foreign(released, cells, claims)
    faults += _moved(released, claims, choices)
    return _assemble(released, cells, claims, choices, support, heading), faults


def stages_named(cells: Iterable) -> list[str]:
    """Return the names in the `setup("…")` calls of some cells."""
    return [name for cell in cells for name in re.findall(r"\bsetup\(\s*[\"'](\w+)[\"']", cell.source)]


def _refuse_others(released: nbformat.NotebookNode, cells: list[Cell]) -> None:
    """Raise CourseError if the cells name another stage: labs have cells in common."""
    wanted, named = stages_named(released.cells), stages_named(cells)
    if wanted and named and not set(wanted) & set(named):
        raise CourseError(f"This is the notebook of {named[0]}, not of {wanted[0]}: is it the right file?")


# What belongs where -------------------------------------------------------------------------------------------------------


def _take_apart(released: nbformat.NotebookNode, cells: list[Cell]) -> tuple[list[Cell], list[Fault]]:
    """Split the cells that hold others of the released notebook: editors can merge cells."""
    claims = _claims(released, cells)
    texts = {place: plain(cell.source) for place, cell in enumerate(released.cells) if not is_answer(cell)}
    prose = [text for place, text in texts.items() if released.cells[place].cell_type == "markdown"]
    paragraphs = "\n\n".join(["", *prose, ""])
    questions = _unanswered_questions(released, cells, claims)
    names = {name for cell in released.cells if (name := _defined(cell))}
    apart, faults = [], []
    for cell, own in zip(cells, claims, strict=True):
        text = plain(cell.source)
        if own is None and cell.kind != "code" and f"\n\n{text}\n\n" in paragraphs:
            continue  # Deepnote cuts prose into paragraphs
        inside = [
            place
            for place, other in texts.items()
            if (place == own or place not in claims)  # what was merged is no longer there
            and len(other) >= LEAST_MERGED
            and other != text
            and f"\n{other}\n" in f"\n{text}\n"
        ]
        # Who adds a line to a tool or a note to a story has merged nothing, unless there is an answer in it.
        has_answer = own in inside and (_names(cell) & names or own in questions)
        if not set(inside) - {own} and not has_answer:
            apart.append(cell)
            continue
        what = f"Cell {cell.number} holds several cells in one"
        faults.append(Fault(what, f"split it, or {REPAIR}", "it was taken apart"))
        pieces: list[tuple[str, int | None]] = [(text, None)]
        for place in sorted(inside, key=lambda place: -len(texts[place])):
            pieces = [piece for old in pieces for piece in _cut(*old, texts[place], place)]
        # The cell's own names stay with the first piece that is the student's, unless they belong to another piece.
        names_left = {} if own is None or own in inside else {"ids": cell.ids, "grading": cell.grading}
        for piece, place in pieces:
            if place is not None:
                original = released.cells[place]
                known = {"ids": frozenset({original.id}), "grading": dict(grading_of(original)) or None}
                apart.append(cell.piece(piece, kind=original.cell_type, attachments={}, **known))
            else:
                kind = "code" if _names(cell.piece(piece)) & names else cell.kind
                apart.append(cell.piece(piece, **({"kind": kind, "ids": frozenset(), "grading": None} | names_left)))
                names_left = {}
    return apart, faults


def _unanswered_questions(released: nbformat.NotebookNode, cells: list[Cell], claims: list[int | None]) -> set[int]:
    """Return the places above written answers that are not there: some write into the question."""
    written = {place for place, cell in enumerate(released.cells) if is_answer(cell) and cell.cell_type != "code"}
    answered = {
        claim
        for cell, claim in zip(cells, claims, strict=True)
        if claim in written and _attempt(cell, released.cells[claim])
    }
    return {place - 1 for place in written - answered}


def _cut(text: str, place: int | None, other: str, other_place: int) -> list[tuple[str, int | None]]:
    """Return a text as the part before another text, that text, and the part after it."""
    before, found, after = f"\n{text}\n".partition(f"\n{other}\n")
    if place is not None or not found:
        return [(text, place)]
    sides = [(before.strip("\n"), None), (other, other_place), (after.strip("\n"), None)]
    return [side for side in sides if side[0].strip()]


def _claims(released: nbformat.NotebookNode, cells: list[Cell]) -> list[int | None]:
    """Return for each of the student's cells the place in the released notebook that it is by its names or text."""
    by_grade = {grading_of(cell)["grade_id"]: place for place, cell in enumerate(released.cells) if grading_of(cell)}
    by_id = {cell.id: place for place, cell in enumerate(released.cells)}
    by_text: dict[str, list[int]] = {}
    for place, cell in enumerate(released.cells):
        by_text.setdefault(plain(cell.source), []).append(place)
    claims = [
        None
        if _is_set_aside(cell)
        else by_grade.get(cell.grade_id, next(map(by_id.get, cell.ids & by_id.keys()), None))
        for cell in cells
    ]
    for index, cell in enumerate(cells):
        if claims[index] is None and not cell.is_blank:
            same = by_text.get(plain(cell.source), [])
            claims[index] = next((place for place in same if place not in claims), same[0] if same else None)
    return claims


def _choose(released: nbformat.NotebookNode, place: int, cells: list[Cell], claims: list[int | None]) -> Choice:
    """Return what answers a task."""
    original = released.cells[place]
    name = _defined(original)
    mine = [index for index, claim in enumerate(claims) if claim == place and _attempt(cells[index], original)]
    if original.cell_type != "code":
        return Choice(mine) if mine else _choose_by_place(released, place, cells, claims)
    definers = [index for index in mine if name in _names(cells[index])]
    is_guess = bool(name) and not definers
    if is_guess:
        # An answer in a cell of the student's own, or in the cell of another task.
        others = [
            index
            for index, cell in enumerate(cells)
            if name in _names(cell)
            and _attempt(cell, original)
            and (claims[index] is None or _attempt(cell, released.cells[claims[index]]))
        ]
        definers = [index for index in others if claims[index] is None] or others
        is_guess = bool(definers)
    some = definers or mine
    if not some:
        return Choice([])
    best = max(_attempt(cells[index], original) for index in some)
    some = [index for index in some if _attempt(cells[index], original) == best]
    # As in a kernel, the last before the tests counts.
    tests = next((later for later in range(place, len(released.cells)) if is_test(released.cells[later])), None)
    end = claims.index(tests) if tests in claims else len(cells)
    pick = ([index for index in some if index < end] or some)[-1]
    rivals = [index for index in definers if index != pick and claims[index] == place]
    halves = {index for index in mine if index not in definers} if pick in mine else set()
    return Choice(_joined(cells, claims, pick, halves), rivals, is_guess)


def _joined(cells: list[Cell], claims: list[int | None], pick: int, halves: set[int]) -> list[int]:
    """Return an answer and the halves beside it that it needs: *Split Cell* may cut a function in two.

    A half that is whole Python of its own, such as a helper above or a trial call below, keeps its place as a cell.
    """

    def is_half(index: int) -> bool:
        cell = cells[index]
        is_own_end = (
            claims[index] is None and cell.kind == "code" and bool(re.match(r"\s*?^[ \t]+\S", cell.source, re.M))
        )
        return index in halves or is_own_end

    first = last = pick
    while first > 0 and (cells[first - 1].is_blank or first - 1 in halves):
        first -= 1
    while last < len(cells) - 1 and (cells[last + 1].is_blank or is_half(last + 1)):
        last += 1
    some = [index for index in range(first, last + 1) if not cells[index].is_blank]
    while len(some) > 1 and some[0] != pick and _parses(cells[some[0]].source):
        some.pop(0)
    while len(some) > 1 and some[-1] != pick and _parses(cells[some[-1]].source):
        some.pop()
    text = "\n".join(cells[index].source for index in some)
    return some if _parses(text) or not _parses(cells[pick].source) else [pick]


def _choose_by_place(
    released: nbformat.NotebookNode, place: int, cells: list[Cell], claims: list[int | None]
) -> Choice:
    """Return the written answer that has no name: prose of the student's own that stands where the answer belongs."""
    before = [index for index, claim in enumerate(claims) if claim is not None and claim < place]
    after = [index for index, claim in enumerate(claims) if claim is not None and claim > place]
    if not before:
        return Choice([])
    start = before[-1]
    end = min((index for index in after if index > start), default=len(cells))
    gap = [
        index
        for index in range(start + 1, end)
        if claims[index] is None and not cells[index].is_blank and not _is_set_aside(cells[index])
    ]
    written = [index for index in gap if cells[index].kind != "code" or not _parses(cells[index].source)]
    return Choice(written, is_guess=bool(written))


def _attempt(cell: Cell, original: nbformat.NotebookNode) -> int:
    """Return 0 for a cell that is blank or as released, 1 if the stub is still in it, 2 for an answer."""
    if cell.is_blank or plain(cell.source) == plain(original.source):
        return 0
    return 1 if re.search(rf"^\s*{STUB}\b", cell.source, re.M) else 2


def _defined(cell: nbformat.NotebookNode) -> str | None:
    """Return the function, class or variable that an answer cell is there for: the last before the stub, or the last."""
    if not is_answer(cell) or cell.cell_type != "code":
        return None
    names = _NAME.findall(cell.source.split(STUB)[0])
    return max(names[-1]) if names else None


_NAME = re.compile(r"^(?:(?:async +)?(?:def|class) +(\w+)|(\w+) *(?::[^=\n]+)?=(?!=))", re.M)


def _names(cell: Cell) -> set[str]:
    """Return the functions, classes and variables that a cell binds, by its looks: it need not be valid Python."""
    return set() if _is_set_aside(cell) else {max(pair) for pair in _NAME.findall(cell.source)}


def _is_set_aside(cell: Cell) -> bool:
    return cell.source.startswith(SET_ASIDE.splitlines()[0])


def _parses(source: str) -> bool:
    return _tree(source) is not None


def _tree(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, magics taken for `pass`; None if there is none."""
    try:
        return ast.parse(re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.M))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _support(released: nbformat.NotebookNode) -> set[int]:
    """Return the places of ungraded code that the tests stand on: imports, tools and what these need in turn.

    Students may change other ungraded code as they like. Code that is no plain Python counts as needed.
    """
    trees = {place: _tree(cell.source) for place, cell in enumerate(released.cells) if cell.cell_type == "code"}
    needed: set[str] = set()
    for place, tree in trees.items():
        if tree and is_test(released.cells[place]):
            needed |= _read(tree) - _bound(tree)
    ungraded = [place for place in trees if not grading_of(released.cells[place])]
    support: set[int] = set()
    while more := {place for place in ungraded if trees[place] is None or _bound(trees[place]) & needed} - support:
        support |= more
        needed |= {name for place in more if trees[place] for name in _read(trees[place])}
    return support


def _read(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _bound(tree: ast.AST) -> set[str]:
    """Return the names that a cell leaves behind: not those inside its functions and classes."""
    bound: set[str] = set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        if isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        nodes += ast.iter_child_nodes(node)
    return bound


# What is wrong ------------------------------------------------------------------------------------------------------------


def _faults(
    released: nbformat.NotebookNode,
    place: int,
    cells: list[Cell],
    claims: list[int | None],
    choice: Choice | None,
    is_support: bool,
) -> list[Fault]:
    """Return what is wrong with one cell of the released notebook."""
    original, grading = released.cells[place], grading_of(released.cells[place])
    if original.cell_type != "code" and not grading:
        return []  # nothing depends on prose
    what = "answer cell" if choice else "test cell" if grading else "cell"
    name = grading.get("grade_id", original.id)
    claimed = [index for index, claim in enumerate(claims) if claim == place]
    if choice and choice.is_guess:
        return [_guess(original, name, cells, claimed, choice)]
    if not claimed:
        done = "it counts as not attempted" if choice else "it was put back"
        return [Fault(f"The {what} {name} is missing", f"copy it from the released lab, or {REPAIR}", done)]
    same = [index for index in claimed if plain(cells[index].source) == plain(original.source)]
    counts = (choice.cells if choice else []) or same or claimed
    cell = cells[[index for index in counts if index in claimed][-1]]
    where = f"Cell {cell.number} ({what} {name})"
    faults = []
    if choice and len(choice.cells) > 1:
        numbers = _numbers(cells, choice.cells)
        faults.append(Fault(f"Cells {numbers} are one {what}, {name}", f"merge them, or {REPAIR}", "they were joined"))
    others = [index for index in claimed if index not in counts]
    if others and grading:
        what_else = f"{where} is there more than once, also as cell {_numbers(cells, others)}"
        faults.append(Fault(what_else, "keep the one that counts", "this one counts"))
    if cell.kind != original.cell_type:
        remedy = f"turn it back into a {original.cell_type} cell"
        faults.append(Fault(f"{where} is a {cell.kind} cell", remedy, f"it was taken for a {original.cell_type} cell"))
    if grading and not cell.grading:
        lost = f"{where} has lost its nbgrader metadata and cannot be graded"
        faults.append(Fault(lost, REPAIR, "it was found all the same"))
    elif grading and {**cell.grading, "checksum": ""} != {**grading, "checksum": ""}:
        faults.append(Fault(f"{where} has other nbgrader metadata than the released lab", REPAIR, "they were put back"))
    if not choice and not same and (grading or is_support):
        advice = "write in answer cells and in cells of your own only; --repair puts the original back"
        done = "the original was put back" if grading else "yours runs first, then the original"
        faults.append(Fault(f"{where} was changed", advice, done))
    return faults


def _guess(original: nbformat.NotebookNode, name: str, cells: list[Cell], claimed: list[int], choice: Choice) -> Fault:
    """Return the sentence about an answer that was found by what it defines, or by where it stands."""
    numbers = _numbers(cells, choice.cells)
    found = "what it defines" if original.cell_type == "code" else "its place"
    if claimed:
        what = f"The answer to {name} stands in cell {numbers}, and not in its answer cell"
        return Fault(what, f"move it there, or {REPAIR}", f"it was found by {found}")
    what = f"Cell {numbers} (answer cell {name}) has lost its nbgrader metadata and cannot be graded"
    return Fault(what, REPAIR, f"it was found by {found}")


def _foreign(released: nbformat.NotebookNode, cells: list[Cell], claims: list[int | None]) -> list[Fault]:
    """Return which cells carry nbgrader metadata and are neither answer nor test: nbgrader would stop at them."""
    return [
        Fault(f"Cell {cell.number} has nbgrader metadata that are not this lab's", REPAIR, "they were dropped")
        for cell, claim in zip(cells, claims, strict=True)
        if cell.grading is not None and (claim is None or not grading_of(released.cells[claim]))
    ]


def _moved(released: nbformat.NotebookNode, claims: list[int | None], choices: dict[int, Choice]) -> list[Fault]:
    """Return the sentence about answers and tests in another order, if they are."""
    order = []
    for place, cell in enumerate(released.cells):
        if place in choices and choices[place].cells and not choices[place].is_guess:
            order.append(choices[place].cells[0])
        elif grading_of(cell) and place in claims:
            order.append(claims.index(place))
    if order == sorted(order):
        return []
    remedy = f"put them back in the order of the released lab, or {REPAIR}"
    return [Fault("Answer and test cells were moved", remedy, "they were put back in order")]


def _numbers(cells: list[Cell], indexes: list[int]) -> str:
    return " and ".join(map(str, sorted({cells[index].number for index in indexes})))


# The mended notebook ------------------------------------------------------------------------------------------------------


def _assemble(
    released: nbformat.NotebookNode,
    cells: list[Cell],
    claims: list[int | None],
    choices: dict[int, Choice],
    support: set[int],
    heading: str,
) -> nbformat.NotebookNode:
    """Return the released notebook with the student's answers, prose and own cells in it."""
    fills = {place: choice.cells for place, choice in choices.items()}
    for index, place in enumerate(claims):  # prose, and code that no test stands on, are the student's as well
        is_free = place is not None and not grading_of(released.cells[place]) and place not in support
        if is_free and plain(cells[index].source) != plain(released.cells[place].source):
            fills.setdefault(place, [index])
    own = _own_cells(released, cells, claims, choices, fills)
    mended = nbformat.from_dict({**released, "cells": []})
    for place in range(-1, len(released.cells)):
        if place >= 0:
            mended.cells.append(_filled(released.cells[place], [cells[index] for index in fills.get(place, [])]))
        mended.cells += [_own_cell(cells[index]) for index in own.get(place, [])]
    whole = "\n\0\n".join(plain(cell.source) for cell in (*mended.cells, *released.cells))
    pictures = [picture for cell in mended.cells for picture in cell.get("attachments", {}).values()]
    lost = [
        cell
        for cell in cells
        if plain(cell.source) not in whole or any(one not in pictures for one in cell.attachments.values())
    ]
    if lost:
        mended.cells.append(_set_aside(lost, heading))
    # A cell of the released notebook keeps its id, whatever cells of the student's are called.
    seen = {cell.id for cell in released.cells}
    for number, cell in enumerate(mended.cells):
        if cell.metadata.pop("own", False):
            if cell.id in seen:
                cell.id = f"own-{number}"
            seen.add(cell.id)
    return mended


def _own_cells(
    released: nbformat.NotebookNode,
    cells: list[Cell],
    claims: list[int | None],
    choices: dict[int, Choice],
    fills: dict[int, list[int]],
) -> dict[int, list[int]]:
    """Return the cells of the student's own, by the place that each stands behind; -1 is the top."""
    answers: dict[int, int] = {}
    for place, choice in reversed(choices.items()):
        answers |= dict.fromkeys(choice.cells, place)
    rivals = {index for choice in choices.values() for index in choice.rivals}
    filled = {index for some in fills.values() for index in some}
    own: dict[int, list[int]] = {}
    behind = -1
    for index, cell in enumerate(cells):
        claim = claims[index]
        original = released.cells[claim] if claim is not None else None
        if index in filled or index in rivals or cell.is_blank:
            behind = answers.get(index, behind if claim is None else claim)
        elif original is not None and (is_test(original) or plain(cell.source) == plain(original.source)):
            behind = claim
        elif original is not None and claim not in choices and original.cell_type == "code":
            own.setdefault(claim - 1, []).append(
                index
            )  # a change of what the tests stand on: the original runs after it
            behind = claim
        else:
            # A helper goes with the answer below it, if that moves up.
            known = (later for later in range(index + 1, len(cells)) if claims[later] is not None or later in answers)
            below = answers.get(next(known, -1), behind + 1)
            own.setdefault(min(behind, below - 1), []).append(index)
    return own


def _filled(original: nbformat.NotebookNode, parts: list[Cell]) -> nbformat.NotebookNode:
    """Return a cell of the released notebook, with the student's text and pictures if there are any."""
    filled = nbformat.from_dict(original)
    if not parts:
        return filled
    texts, pictures = [], {}
    for cell in parts:
        text = cell.source
        for name, picture in cell.attachments.items() if original.cell_type == "markdown" else ():
            # Jupyter calls every pasted picture image.png: the number of the cell keeps them apart.
            new = name if pictures.get(name, picture) == picture else f"cell-{cell.number}-{name}"
            text = text.replace(f"attachment:{name}", f"attachment:{new}")
            pictures[new] = picture
        texts.append(text)
    filled.source = ("\n" if original.cell_type == "code" else "\n\n").join(dict.fromkeys(texts))
    if pictures:
        filled.attachments = nbformat.from_dict(pictures)
    return filled


def _own_cell(cell: Cell) -> nbformat.NotebookNode:
    """Return a cell of the student's own as nbformat wants it, with the mark `own` that `_assemble` takes off again."""
    names = sorted(name for name in cell.ids if re.fullmatch("[A-Za-z0-9_-]{1,64}", name))
    name = names[0] if names else f"own-cell-{cell.number}"
    if cell.kind == "code":
        return nbformat.v4.new_code_cell(cell.source, id=name, metadata={"own": True, "tags": ["raises-exception"]})
    new_cell = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_raw_cell
    own = new_cell(cell.source, id=name, metadata={"own": True})
    if cell.attachments:
        own.attachments = nbformat.from_dict(cell.attachments)
    return own


def _set_aside(cells: list[Cell], heading: str) -> nbformat.NotebookNode:
    """Return the cell that keeps what has no place in the lab, with its pictures."""
    texts, pictures = [heading.rstrip()], {}
    for cell in cells:
        renamed = {f"cell-{cell.number}-{name}": picture for name, picture in cell.attachments.items()}
        texts.append(f"Cell {cell.number} was:\n\n~~~~python\n{cell.source}\n~~~~")
        texts += [f"![{name}](<attachment:{name}>)" for name in renamed]
        pictures |= renamed
    aside = nbformat.v4.new_markdown_cell("\n\n".join(texts), id="set-aside", metadata={"own": True})
    if pictures:
        aside.attachments = nbformat.from_dict(pictures)
    return aside
