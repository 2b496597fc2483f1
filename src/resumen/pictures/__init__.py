"""The course's pictures: diagrams drawn by code, in one style, each with a text alternative. A lecture calls `pictures.show("causal_mask")`."""

from collections.abc import Callable

from resumen.errors import CourseError
from resumen.pictures import corpus, model, processes, scores
from resumen.pictures.drawing import Drawing
from resumen.plots import display_image

PICTURES: dict[str, Callable[..., Drawing]] = {
    function.__name__: function
    for function in (
        corpus.pipeline,
        corpus.leakage,
        corpus.splits,
        model.attention,
        model.encoder_decoder,
        model.causal_mask,
        model.padding,
        model.right_shift,
        scores.clipping,
        scores.lcs,
        scores.union_lcs,
        scores.bootstrap,
        processes.accumulation,
        processes.two_processes,
        processes.gather,
    )
}


def draw(name: str, **options: str) -> Drawing:
    """Return a picture by its name; `svg()` and `alt` are its text and its alternative.

    Raises:
        CourseError: if there is no such picture.
    """
    if name not in PICTURES:
        raise CourseError(f"There is no picture {name!r}: choose one of {', '.join(PICTURES)}.")
    return PICTURES[name](**options)


def show(name: str, **options: str) -> None:
    """Display a picture with its text alternative: `show("pipeline", here="stage1_corpus")` says where the reader is.

    Raises:
        CourseError: if there is no such picture.
    """
    drawing = draw(name, **options)
    display_image(drawing.svg().encode(), "image/svg+xml", drawing.alt)
