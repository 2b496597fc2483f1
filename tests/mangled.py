"""What happens to a notebook between a student and a score: each function here does one such thing to a lab.

A function takes the student's notebook as plain JSON (stage 1's lab with the reference answers) and changes it, or returns what
takes its place: another notebook, or bytes. Its docstring ends the sentence "the notebook …".
"""

import copy
import json
import re

TASK = "deduplicate"
"""The task that most of this is about: its answer, its tests and its story stand in the middle of the lab."""

HELPER = "def folded(text):\n    return ' '.join((text or '').split()).casefold()"
"""A cell of the student's own."""

OLD = {"grade": False, "grade_id": "old-q1", "locked": False, "solution": True, "schema_version": 1}


def without_markers(source: str) -> str:
    """Return an answer of the instructor's as a student would have typed it."""
    return re.sub(r"^\s*### (BEGIN|END) SOLUTION\n?", "", source, flags=re.MULTILINE).strip()


def by_id(notebook: dict) -> dict[str, dict]:
    return {cell["id"]: cell for cell in notebook["cells"] if isinstance(cell, dict) and "id" in cell}


def place(notebook: dict, name: str) -> int:
    return notebook["cells"].index(by_id(notebook)[name])


def code(source: str, **more) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more}


def prose(source: str, **more) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def insert_below(notebook: dict, name: str, *cells: dict) -> None:
    at = place(notebook, name) + 1
    notebook["cells"][at:at] = cells


def stub(notebook: dict, released: dict, name: str) -> None:
    """Put back what stood in an answer cell before there was an answer."""
    by_id(notebook)[name]["source"] = by_id(released)[name]["source"]


# Nothing that grading depends on ------------------------------------------------------------------------------------------


def saved_by_colab(notebook, released):
    """has Colab's metadata and ids, and minor version 0"""
    notebook["nbformat_minor"] = 0
    notebook["metadata"]["colab"] = {"provenance": [], "toc_visible": True}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"id": f"aB{number}_x", "colab": {"base_uri": "https://localhost:8080/"}}
        del cell["id"]
        cell["source"] = cell["source"].splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hola"]}]


def saved_by_vs_code(notebook, released):
    """has VS Code's metadata, another kernel and new ids"""
    notebook["metadata"]["kernelspec"] = {"name": "venv", "display_name": "venv", "language": "python"}
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"{number:08x}"
        cell["metadata"]["vscode"] = {"languageId": "python"}


def saved_by_jupyterlite(notebook, released):
    """has JupyterLite's kernel and the state of its cells"""
    notebook["metadata"]["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.12", "codemirror_mode": {"name": "python"}}
    for cell in notebook["cells"]:
        cell["metadata"]["trusted"] = True


def saved_by_kaggle(notebook, released):
    """has Kaggle's metadata and a papermill record"""
    notebook["metadata"]["papermill"] = {"duration": 3.2, "exception": None}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"_uuid": f"{number:040x}", "execution": {"iopub.execute_input": "2026-01-01T00:00:00Z"}}


def run_with_outputs(notebook, released):
    """has outputs and execution counts"""
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            cell["outputs"] = [{"output_type": "stream", "name": "stderr", "text": "warning"}]


def crlf_in_cells(notebook, released):
    """has Windows' line ends"""
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")


def trailing_blanks(notebook, released):
    """has blanks at the ends of its lines"""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" or "tests" in cell["id"]:
            cell["source"] = cell["source"].replace("\n", "  \n") + "\n"


def without_kernelspec(notebook, released):
    """names no kernel"""
    notebook["metadata"] = {}


def own_cells(notebook, released):
    """has cells of the student's own"""
    insert_below(notebook, f"{TASK}-story", code(HELPER, id="helper"), prose("a note", id="note"))


def prose_changed(notebook, released):
    """lost a story, and another one was changed"""
    del notebook["cells"][place(notebook, f"{TASK}-story")]
    by_id(notebook)["lab1-title"]["source"] = "# My lab"


def demonstration_changed(notebook, released):
    """has another experiment in a cell that no test needs"""
    by_id(notebook)["lab1-scale"]["source"] = "1 + 1"


def spare_outputs_of_50_mb(notebook, released):
    """has 50 MB of outputs"""
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 2**20}, "metadata": {}}
    by_id(notebook)[TASK]["outputs"] = [picture] * 50


HARMLESS = [
    saved_by_colab,
    saved_by_vs_code,
    saved_by_jupyterlite,
    saved_by_kaggle,
    run_with_outputs,
    crlf_in_cells,
    trailing_blanks,
    without_kernelspec,
    own_cells,
    prose_changed,
    demonstration_changed,
    spare_outputs_of_50_mb,
]
"""Nothing has to be said about these, and nbgrader grades them as they are."""

# Damage that can be mended ------------------------------------------------------------------------------------------------


def saved_by_databricks(notebook, released):
    """lost all metadata to Databricks, which keeps its own"""
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"application/vnd.databricks.v1+notebook": {"dashboards": [], "notebookName": "lab"}}
    for number, cell in enumerate(notebook["cells"]):
        del cell["id"]
        cell["metadata"] = {"application/vnd.databricks.v1+cell": {"nuid": f"{number:032x}", "showTitle": False}}


def saved_by_deepnote(notebook, released):
    """lost all metadata to Deepnote, which cuts prose into paragraphs"""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        metadata = {"cell_id": f"{number:032x}", "deepnote_cell_type": "code", "source_hash": "b623e53d"}
        if cell["cell_type"] == "code":
            cells.append({**cell, "id": f"d{number}", "metadata": metadata})
        else:
            for part, text in enumerate(cell["source"].split("\n\n")):
                cells.append(
                    prose(text, id=f"d{number}-{part}", metadata={**metadata, "deepnote_cell_type": "text-cell-p"})
                )
    notebook["cells"] = cells


def metadata_lost(notebook, released):
    """lost the metadata of its cells"""
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def metadata_and_ids_lost(notebook, released):
    """lost metadata and ids"""
    metadata_lost(notebook, released)
    saved_by_vs_code(notebook, released)


def metadata_is_a_list(notebook, released):
    """has a list for the metadata of a cell"""
    by_id(notebook)[TASK]["metadata"] = []


def grade_id_is_a_list(notebook, released):
    """has a list for a grade_id"""
    by_id(notebook)[TASK]["metadata"]["nbgrader"]["grade_id"] = [TASK]


def nbgrader_is_a_text(notebook, released):
    """has a text for nbgrader's metadata"""
    by_id(notebook)[TASK]["metadata"]["nbgrader"] = "solution"


def points_raised(notebook, released):
    """gives its own tests a thousand points"""
    by_id(notebook)[f"{TASK}-tests"]["metadata"]["nbgrader"]["points"] = 1000


def made_ungraded(notebook, released):
    """calls its tests answers"""
    by_id(notebook)[f"{TASK}-tests"]["metadata"]["nbgrader"] |= {"grade": False, "solution": True, "locked": False}


def old_schema(notebook, released):
    """has metadata of an old nbgrader"""
    for cell in notebook["cells"]:
        cell["metadata"].get("nbgrader", {}).pop("schema_version", None)


def foreign_cell(notebook, released):
    """has a cell of another course"""
    insert_below(notebook, TASK, code("print('pasted')", id="pasted", metadata={"nbgrader": OLD}))


def cell_without_metadata(notebook, released):
    """has a cell without metadata"""
    insert_below(notebook, TASK, {"cell_type": "code", "source": "1 + 1", "outputs": [], "execution_count": None})


def cell_without_anything(notebook, released):
    """has cells that are none"""
    notebook["cells"] += [{}, {"cell_type": "code"}, None, "text", {"cell_type": "sql", "source": "SELECT 1"}]


def outputs_null(notebook, released):
    """has null for outputs"""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = None


def answer_copied(notebook, released):
    """has the answer twice, the upper one as released"""
    answer = copy.deepcopy(by_id(notebook)[TASK])
    stub(notebook, released, TASK)
    insert_below(notebook, TASK, {**answer, "id": "copy"})


def older_answer(notebook, released):
    """has an older answer above the one that counts"""
    older = copy.deepcopy(by_id(notebook)[TASK])
    older |= {"id": "older", "source": "def deduplicate(dataset):\n    return dataset"}
    insert_below(notebook, f"{TASK}-story", older)


def draft_below_the_tests(notebook, released):
    """has a copy of the answer cell with a draft in it below the tests"""
    draft = copy.deepcopy(by_id(notebook)[TASK])
    draft |= {"id": "draft", "source": "def deduplicate(dataset):\n    return None"}
    insert_below(notebook, f"{TASK}-tests", draft)


def answer_deleted_and_typed_anew(notebook, released):
    """has its answer in a new cell, and the answer cell is gone"""
    cell = notebook["cells"][place(notebook, TASK)]
    notebook["cells"][place(notebook, TASK)] = code(cell["source"], id="new")


def answer_in_a_cell_of_its_own(notebook, released):
    """has its answer in a new cell, and the answer cell is as released"""
    answer = by_id(notebook)[TASK]["source"]
    stub(notebook, released, TASK)
    insert_below(notebook, TASK, code(answer, id="new"))


def all_answers_at_the_end(notebook, released):
    """has all answers in new cells at its end, below their helper"""
    tasks = [name for name in by_id(notebook) if f"{name}-tests" in by_id(notebook)]
    notebook["cells"].append(code("import itertools", id="helper"))
    for name in tasks:
        notebook["cells"].append(code(by_id(notebook)[name]["source"], id=f"my-{name}"))
        stub(notebook, released, name)


def answers_exchanged(notebook, released):
    """has the answers of two tasks in each other's cells"""
    one, other = by_id(notebook)[TASK], by_id(notebook)["has-min-words"]
    one["source"], other["source"] = other["source"], one["source"]


def two_answers_in_one_cell(notebook, released):
    """has the answers to two tasks in the cell of the first"""
    one, other = by_id(notebook)["has-min-words"], by_id(notebook)[TASK]
    one["source"] += "\n\n\n" + other["source"]
    stub(notebook, released, TASK)


def answer_as_raw(notebook, released):
    """has an answer in a raw cell, and the written one in a code cell"""
    by_id(notebook)[TASK]["cell_type"] = "raw"
    by_id(notebook)["written"]["cell_type"] = "code"


def split_in_the_function(notebook, released):
    """has an answer cut in two in the middle of the function"""
    answer = by_id(notebook)[TASK]
    lines = answer["source"].split("\n")
    half = next(at for at, line in enumerate(lines) if at > 1 and line.startswith("    "))
    below = {**copy.deepcopy(answer), "id": "split", "source": "\n".join(lines[half:])}
    answer["source"] = "\n".join(lines[:half])
    insert_below(notebook, TASK, below)


def split_in_the_function_by_colab(notebook, released):
    """has an answer cut in two, and the lower half has no metadata"""
    split_in_the_function(notebook, released)
    by_id(notebook)["split"]["metadata"] = {}


def split_below_a_helper(notebook, released):
    """has the helper of an answer cut off above it"""
    helper = {**copy.deepcopy(by_id(notebook)[TASK]), "id": "split", "source": HELPER}
    insert_below(notebook, f"{TASK}-story", helper)


def split_above_a_trial(notebook, released):
    """has a trial call cut off below an answer"""
    insert_below(notebook, TASK, {**copy.deepcopy(by_id(notebook)[TASK]), "id": "split", "source": "deduplicate(3)"})


def written_split(notebook, released):
    """has the written answer in two cells"""
    answer = by_id(notebook)["written"]
    answer["source"], lower = answer["source"].split("\n\n")
    insert_below(notebook, "written", {**copy.deepcopy(answer), "id": "split", "source": lower})


def written_below(notebook, released):
    """has the written answer in a new cell below the one for it"""
    answer = by_id(notebook)["written"]["source"]
    stub(notebook, released, "written")
    insert_below(notebook, "written", prose(answer, id="new"))


def written_in_the_question(notebook, released):
    """has the written answer in the cell of the question"""
    by_id(notebook)["lab1-written-question"]["source"] += "\n\n" + by_id(notebook)["written"]["source"]
    stub(notebook, released, "written")


def written_deleted_and_typed_anew(notebook, released):
    """has the written answer in a new cell, and the one for it is gone"""
    answer = by_id(notebook)["written"]["source"]
    notebook["cells"][place(notebook, "written")] = prose(answer, id="new")


def merged_with_tests(notebook, released):
    """has an answer merged with the tests below it"""
    tests = notebook["cells"].pop(place(notebook, f"{TASK}-tests"))
    by_id(notebook)[TASK]["source"] += "\n\n" + tests["source"]


def merged_with_its_story(notebook, released):
    """has an answer merged with the story above it, as prose"""
    answer = notebook["cells"].pop(place(notebook, TASK))
    by_id(notebook)[f"{TASK}-story"]["source"] += "\n\n" + answer["source"]


def four_cells_merged(notebook, released):
    """has a story, an answer, tests and the next story merged"""
    first = by_id(notebook)[f"{TASK}-story"]
    at = notebook["cells"].index(first) + 1
    for cell in notebook["cells"][at : at + 3]:
        first["source"] += "\n\n" + cell["source"]
    del notebook["cells"][at : at + 3]


def answer_in_the_test_cell(notebook, released):
    """has an answer above the tests, in their cell"""
    tests = by_id(notebook)[f"{TASK}-tests"]
    tests["source"] = by_id(notebook)[TASK]["source"] + "\n\n" + tests["source"]
    stub(notebook, released, TASK)


def tests_changed(notebook, released):
    """has tests that test nothing"""
    by_id(notebook)[f"{TASK}-tests"]["source"] = "assert True"


def tests_deleted(notebook, released):
    """lost its tests"""
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["id"].endswith("-tests")]


def tests_copied(notebook, released):
    """has a second copy of the tests, changed"""
    copied = {**copy.deepcopy(by_id(notebook)[f"{TASK}-tests"]), "id": "copied", "source": "deduplicate(None)"}
    insert_below(notebook, f"{TASK}-tests", copied)


def tools_changed(notebook, released):
    """has another library among its imports, and tools that were changed"""
    by_id(notebook)["lab1-imports"]["source"] += "\nimport itertools"
    by_id(notebook)["lab1-tools"]["source"] = "def make_reviews(*rows, **columns):\n    return None"


def setup_deleted(notebook, released):
    """lost its first code cells"""
    for name in ("lab1-install", "lab1-setup", "lab1-imports"):
        del notebook["cells"][place(notebook, name)]


def reversed_order(notebook, released):
    """stands upside down"""
    notebook["cells"].reverse()


def answer_moved(notebook, released):
    """has one answer at its end, below the helper that it needs"""
    answer = notebook["cells"].pop(place(notebook, TASK))
    notebook["cells"] += [code(HELPER, id="helper"), answer]


def ids_twice(notebook, released):
    """has one id in two cells"""
    by_id(notebook)["lab1-title"]["id"] = TASK
    notebook["cells"].append(code("1 + 1", id=f"{TASK}-tests"))


def half_an_emoji(notebook, released):
    """has half an emoji in a cell of the student's own, and another in its outputs"""
    insert_below(notebook, TASK, code("# \ud83d", id="half"))
    by_id(notebook)[TASK]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "\ude00"}]


def format_3(notebook, released):
    """was saved in the format of before 2015"""
    cells = []
    for cell in notebook["cells"]:
        old = {key: value for key, value in cell.items() if key in ("cell_type", "metadata", "source", "outputs")}
        if cell["cell_type"] == "code":
            old |= {"input": old.pop("source"), "language": "python", "collapsed": False, "prompt_number": 1}
        cells.append(old)
    return {
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }


def format_3_damaged(notebook, released):
    """was saved in the format of before 2015, and is damaged"""
    old = format_3(notebook, released)
    old["worksheets"][0]["cells"] += [{"cell_type": "heading", "source": "The end"}, {"cell_type": "code"}, None]
    del old["metadata"]
    return {**old, "worksheets": [None, *old["worksheets"], {"cells": None}]}


def version_lost(notebook, released):
    """lost its version and its own metadata"""
    return {"cells": notebook["cells"]}


def version_of_the_future(notebook, released):
    """has a version that does not exist yet"""
    return {**notebook, "nbformat": 5}


def byte_order_mark(notebook, released):
    """begins with the mark of Windows' editors"""
    return b"\xef\xbb\xbf" + json.dumps(notebook).encode()


def utf_16(notebook, released):
    """is in UTF-16"""
    return json.dumps(notebook, ensure_ascii=False).encode("utf-16")


def latin_1(notebook, released):
    """is in the encoding of Windows"""
    return json.dumps(notebook, ensure_ascii=False).encode("cp1252", "xmlcharrefreplace")


def some_spoilt_letters(notebook, released):
    """has letters that are no UTF-8"""
    return json.dumps(notebook, ensure_ascii=False).encode().replace(b"## Hand in", b"## Hand in \xe9\xff")


def raw_line_breaks(notebook, released):
    """has line breaks inside its texts"""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\n", r"\1\n", json.dumps(notebook)).encode()


def filled_with_zeros(notebook, released):
    """ends in zeros, as files do after a power cut"""
    return json.dumps(notebook).encode() + b"\0" * 5000


MENDED = [
    saved_by_databricks,
    saved_by_deepnote,
    metadata_lost,
    metadata_and_ids_lost,
    metadata_is_a_list,
    grade_id_is_a_list,
    nbgrader_is_a_text,
    points_raised,
    made_ungraded,
    old_schema,
    foreign_cell,
    cell_without_metadata,
    cell_without_anything,
    outputs_null,
    answer_copied,
    older_answer,
    draft_below_the_tests,
    answer_deleted_and_typed_anew,
    answer_in_a_cell_of_its_own,
    all_answers_at_the_end,
    answers_exchanged,
    two_answers_in_one_cell,
    answer_as_raw,
    split_in_the_function,
    split_in_the_function_by_colab,
    split_below_a_helper,
    split_above_a_trial,
    written_split,
    written_below,
    written_in_the_question,
    written_deleted_and_typed_anew,
    merged_with_tests,
    merged_with_its_story,
    four_cells_merged,
    answer_in_the_test_cell,
    tests_changed,
    tests_deleted,
    tests_copied,
    tools_changed,
    setup_deleted,
    reversed_order,
    answer_moved,
    ids_twice,
    half_an_emoji,
    format_3,
    format_3_damaged,
    version_lost,
    version_of_the_future,
    byte_order_mark,
    utf_16,
    latin_1,
    some_spoilt_letters,
    raw_line_breaks,
    filled_with_zeros,
]
"""Each is said, and the answers count."""

REFUSED = {
    b"": "is empty",
    b" \n\0\0": "is empty",
    b"\xef\xbb\xbf": "is empty",
    b'{"cells": [\n{"cell_type": "co': "stops being JSON in line 2",
    b'{"cells": [\n<<<<<<< HEAD\n': "the marks of a merge",
    b"<!DOCTYPE html><html></html>": "a web page",
    b"PK\x03\x04\x14\0\0\0": "a zip archive",
    b"%PDF-1.7\n": "a PDF",
    b"\x89PNG\r\n\x1a\n\0\0\0": "a picture",
    bytes(range(256)) * 64: "binary",
    b"\x7fELF\x02\x01\x01\0\0\0\0\0": "binary",
    b"# %%\nimport pandas": "stops being JSON in line 1",
    b"[1, 2]": "has no cells",
    b"null": "has no cells",
    b'"cells"': "has no cells",
    b'{"answer": 42}': "has no cells",
    b'{"cells": {"a": 1}}': "has no cells",
    b'{"cells": [3]}': "has no cells",
    b'{"cells": []}': "has no cells",
    b"[" * 100_000: "nests or counts too far",
    b'{"cells": [' + b"9" * 5000 + b"]}": "nests or counts too far",
    b'{"cells": [{"cell_type": "code", "source": "1 + 1"}]}': "is it the right file?",
    b'{"cells": [{"cell_type": "code", "source": "setup(\'stage4_trainer\')"}]}': "the notebook of stage4_trainer",
    b'{"cells": [{"cell_type": "code", "source": "' + b"x" * (6 * 2**20) + b'"}]}': "6 MB of text",
    b" " * (101 * 2**20): "larger than 100 MB",
}
"""What is no notebook of this lab, and words of the reason."""


def mangled(mangle, notebook: dict, released: dict) -> bytes:
    """Return the file that a mangled notebook is."""
    notebook = copy.deepcopy(notebook)
    result = mangle(notebook, released)
    return result if isinstance(result, bytes) else json.dumps(notebook if result is None else result).encode()
