"""What happens to a source notebook on its way to the students: nbgrader's steps, and two of ours."""

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    IncludeHeaderFooter,
    InstantiateTests,
    LockCells,
    NbGraderPreprocessor,
    SaveCells,
)
from nbgrader.utils import is_solution

PLAIN_ANSWER = "plain-answer"
"""Tag of an answer cell that shows an empty answer of its own, as in a quiz: it needs no `raise NotImplementedError`."""


class ClearAnswers(ClearSolutions):
    """Clear solutions as nbgrader does, and leave no stub in a cell with the tag `plain-answer`."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if PLAIN_ANSWER in cell.metadata.get("tags", []):
            cell.source = cell.source.replace(self.code_stub[resources["language"]], "").rstrip()
        return cell, resources


class MayRaise(NbGraderPreprocessor):
    """Tag the code cells from the first stub on with `raises-exception`, so that "Run All" goes to the end."""

    def preprocess(self, notebook: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        first_stub = next((number for number, cell in enumerate(code_cells) if is_solution(cell)), len(code_cells))
        for cell in code_cells[first_stub:]:
            cell.metadata.tags = sorted({*cell.metadata.get("tags", []), "raises-exception"})
        return notebook, resources


WITHOUT_GRADEBOOK = [
    IncludeHeaderFooter,
    InstantiateTests,
    LockCells,
    ClearAnswers,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
    MayRaise,
]
"""The steps that a release takes: nbgrader's own order, with `ClearAnswers` for `ClearSolutions` and `MayRaise` at the end."""

# The gradebook keeps each test as the instructor wrote it, so its place is before the hidden tests go.
_hidden = WITHOUT_GRADEBOOK.index(ClearHiddenTests)
WITH_GRADEBOOK = [*WITHOUT_GRADEBOOK[:_hidden], SaveCells, *WITHOUT_GRADEBOOK[_hidden:]]
"""The same, and the cells are saved in the gradebook: autograding needs them."""
