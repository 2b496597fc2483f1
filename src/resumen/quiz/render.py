"""A quiz as one piece of HTML that works anywhere: JupyterLab, Colab, a static page, and without JavaScript.

The HTML holds everything that is to be read, in both languages, with the answers in a closed <details>. The script in
`widget.js` only switches what is there: it hides a language, opens the inputs, and copies reasons from the <details>
into a live region. A reader without the script, or in a notebook that is not trusted, loses the feedback and no text.
"""

from html import escape
from importlib.resources import files

from markdown_it import MarkdownIt

from resumen.quiz import Question, Quiz, Text

# No HTML, headings, links or images: what is not enabled stays text.
markdown = MarkdownIt("zero").enable(["emphasis", "backticks", "escape", "newline", "list"])

HOW = {
    "en": "Choose an answer, then **Check**: the reason for it appears below. Your first check of each question counts; try again as often "
    "as you like. Where several choices can be right, you get the question's points × (right ones chosen − wrong ones chosen) / "
    "(right ones in all), never less than 0.",
    "es": "Elige una respuesta y pulsa **Comprobar**: debajo aparece el motivo. Cuenta la primera comprobación de cada pregunta; puedes "
    "repetirla cuantas veces quieras. Cuando puede haber varias opciones correctas, obtienes los puntos de la pregunta × (correctas elegidas "
    "− incorrectas elegidas) / (total de correctas), nunca menos de 0.",
}

# Theme names: JupyterLab sets data-jp-theme-light on the body, Colab sets theme on the root of an output.
LIGHT = {
    "ink": "#1f2328",
    "muted": "#57606a",
    "paper": "#ffffff",
    "shade": "#f3f5f7",
    "line": "#818b98",
    "accent": "#0550ae",
    "right": "#116329",
    "wrong": "#a40e26",
}
DARK = {
    "ink": "#e6edf3",
    "muted": "#a8b3bf",
    "paper": "#161b22",
    "shade": "#0d1117",
    "line": "#768390",
    "accent": "#79c0ff",
    "right": "#6fdd8b",
    "wrong": "#ff9c96",
}


def render(quiz: Quiz) -> str:
    """Return the self-check as an HTML fragment with its own style and script. The same quiz gives the same text."""
    questions = quiz.pool("self")
    title = f"quiz-{quiz.stage}"
    body = "\n".join(_question(question, number, len(questions)) for number, question in enumerate(questions, start=1))
    return f"""<style>
{_themes()}
{_file("widget.css")}</style>
<section class="resumen-quiz" aria-labelledby="{title}">
<h2 id="{title}" tabindex="-1">{_both(quiz.title)}</h2>
<div class="rq-languages" role="group" aria-label="Language · Idioma" hidden>
<button type="button" lang="en" aria-pressed="true">English</button>
<button type="button" lang="es" aria-pressed="false">Español</button>
</div>
<div class="rq-how">{_paragraphs(HOW)}</div>
{body}
<div class="rq-score" hidden>
<h3>{_both({"en": "Score", "es": "Puntuación"})}</h3>
<p class="rq-progress"></p>
<div class="rq-total" role="status" aria-live="polite"></div>
<button type="button" class="rq-again">{_both({"en": "Start again", "es": "Empezar de nuevo"})}</button>
</div>
</section>
<script>
{_file("widget.js")}</script>
"""


def plain_text(quiz: Quiz) -> str:
    """Return the self-check for a place that shows no HTML: the questions and then the answers, in each language."""
    words = {"en": ("Answers", "Output"), "es": ("Respuestas", "Salida")}
    parts = []
    for language, (answers, output) in words.items():
        parts.append(quiz.title[language])
        keys = []
        for number, question in enumerate(quiz.pool("self"), start=1):
            letters = dict(zip("abcde", question.choices, strict=False))
            parts.append(f"{number}. {question.prompt[language].strip()}")
            if question.code:
                parts.append(question.code.rstrip())
            if question.output:
                parts.append(f"{output}:\n{question.output.rstrip()}")
            if question.choices:
                parts.append(
                    "\n".join(f"{letter}) {choice.text[language].strip()}" for letter, choice in letters.items())
                )
                keys.append(f"{number}. {', '.join(letter for letter, choice in letters.items() if choice.right)}")
            else:
                keys.append(f"{number}. {question.answer}")
        parts.append("\n".join([answers, *keys]))
    return "\n\n".join(parts)


def _question(question: Question, number: int, count: int) -> str:
    points = question.points
    legend = {
        "en": f"Question {number} of {count} · {question.objective} · {points} point{'s' * (points != 1)}",
        "es": f"Pregunta {number} de {count} · {question.objective} · {points} punto{'s' * (points != 1)}",
    }
    code = _figure({"en": "Code", "es": "Código"}, question.code) + _figure(
        {"en": "Output", "es": "Salida"}, question.output
    )
    return f"""<form id="{question.id}" class="rq-question" autocomplete="off" data-type="{question.type}" data-points="{points}" data-objective="{question.objective}">
<fieldset disabled aria-labelledby="{question.id}-legend {question.id}-prompt">
<legend id="{question.id}-legend">{_both(legend)}</legend>
<div id="{question.id}-prompt">{_paragraphs(question.prompt)}</div>
{code}{_inputs(question)}<button type="submit" hidden>{_both({"en": "Check", "es": "Comprobar"})}</button>
</fieldset>
<div class="rq-feedback" role="status" aria-live="polite"></div>
<details>
<summary>{_both({"en": "Answer and reasons", "es": "Respuesta y motivos"})}</summary>
<ul>
{_reasons(question)}
</ul>
</details>
</form>"""


def _figure(caption: Text, text: str) -> str:
    if not text:
        return ""
    # The line break after <pre> is not part of the text: HTML drops it.
    return f"<figure><figcaption>{_both(caption)}</figcaption><pre>\n{escape(text.rstrip())}</pre></figure>\n"


def _inputs(question: Question) -> str:
    """Return the choices as radio buttons or checkboxes inside their labels, or one box for a number."""
    if question.type == "numeric":
        label = {"en": "Your answer, a number", "es": "Tu respuesta, un número"}
        return f'<p><label>{_both(label)}: <input type="text" inputmode="decimal" size="12"></label></p>\n'
    hint, kind = "", "radio"
    if question.type == "multiple":
        hint, kind = (
            f"<p>{_both({'en': 'Choose all that are right.', 'es': 'Elige todas las correctas.'})}</p>\n",
            "checkbox",
        )
    return hint + "".join(
        f'<label class="rq-choice"><input type="{kind}" name="{question.id}"> <span>{_both(choice.text)}</span></label>\n'
        for choice in question.choices
    )


def _reasons(question: Question) -> str:
    """Return one list item per choice, in the order of the inputs; of a numeric question, the answer and then the mistakes.

    The script reads the key from here: `data-right`, and `data-value` of a number.
    """
    if question.type != "numeric":
        return "\n".join(_reason(choice.text, choice.reason, choice.right) for choice in question.choices)
    around = f" ± {question.tolerance}" if question.tolerance else ""
    items = [_reason(_number(f"{question.answer}{around}"), question.reason, True, question.answer, question.tolerance)]
    items += [
        _reason(_number(mistake.value), mistake.reason, False, mistake.value, question.tolerance)
        for mistake in question.mistakes
    ]
    return "\n".join(items)


def _number(text: object) -> Text:
    return dict.fromkeys(("en", "es"), f"`{text}`")


def _reason(text: Text, reason: Text, right: bool, value: float | None = None, tolerance: float | None = None) -> str:
    verdict = {"en": "Right", "es": "Correcto"} if right else {"en": "Wrong", "es": "Incorrecto"}
    numbers = "" if value is None else f' data-value="{value}" data-tolerance="{tolerance}"'
    return (
        f'<li data-right="{str(right).lower()}"{numbers}><p><strong>{_both(verdict)}:</strong> {_both(text)}</p>'
        f"{_paragraphs(reason)}</li>"
    )


def _both(text: Text) -> str:
    """Return inline Markdown in both languages, one after the other, or once if they are the same."""
    english, spanish = (markdown.renderInline(text[language].strip()) for language in ("en", "es"))
    if english == spanish:
        return english
    return f'<span lang="en">{english}</span><span class="rq-or"> · </span><span lang="es">{spanish}</span>'


def _paragraphs(text: Text) -> str:
    """Return Markdown in both languages as blocks."""
    english, spanish = (markdown.render(text[language]).strip() for language in ("en", "es"))
    return f'<div lang="en">{english}</div><div lang="es">{spanish}</div>'


def _themes() -> str:
    """Return the colours: light, dark where the system asks for it, and whatever a notebook's own theme says."""
    light, dark = (
        f"color-scheme: {name}; " + " ".join(f"--rq-{role}: {colour};" for role, colour in colours.items())
        for name, colours in (("light", LIGHT), ("dark", DARK))
    )
    return f""".resumen-quiz {{ {light} }}
@media (prefers-color-scheme: dark) {{ .resumen-quiz {{ {dark} }} }}
[data-jp-theme-light="true"] .resumen-quiz {{ {light} }}
[data-jp-theme-light="false"] .resumen-quiz, [theme="dark"] .resumen-quiz {{ {dark} }}"""


def _file(name: str) -> str:
    return files("resumen.quiz").joinpath(name).read_text(encoding="utf-8")
