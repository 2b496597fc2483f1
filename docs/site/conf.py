"""How Sphinx shows the course. `make site` calls it; resumen.authoring.site makes what it reads."""

from pathlib import Path

from resumen import __version__
from resumen.authoring.site import Site, polish

ROOT = Path(__file__).parents[2]
SITE = Site(ROOT)

project = "Resumen"
author = "The Resumen contributors"
release = __version__
extensions = ["myst_nb"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
suppress_warnings = ["toc.not_included"]  # the theme has a list of contents of its own

myst_heading_anchors = 4
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # from a CDN, and no output needs it
nb_append_css = False

html_theme = "resumen"
html_theme_path = ["."]
html_title = "Resumen"
html_permalinks = False
html_use_index = False
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which a browser refuses to do from a folder


def _add_to_page(app, name, template, context, doctree):
    """Give the theme what it shows around a page."""
    page = SITE.by_name.get(name)
    language = page.language if page else "en"
    before, after = SITE.neighbours(page) if page else (None, None)
    context.update(
        page=page,
        site=SITE,
        language=language,
        contents=SITE.contents(language),
        before=before,
        after=after,
        css_files=[],
        script_files=[file for file in context["script_files"] if "require" not in str(file)],
    )
    if "body" in context:
        context["body"] = polish(context["body"])


def _add_downloads(app, config):
    config.html_extra_path = [str(Path(app.srcdir).with_name("extra"))]


def setup(app):
    """Connect the two functions above."""
    app.connect("config-inited", _add_downloads)
    app.connect("html-page-context", _add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
