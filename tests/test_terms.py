"""One word for one thing, in both languages; and no concept of the model is used before it is defined."""

import re

import nbformat
import pytest

from resumen.quiz import load_quiz
from resumen.setup import LESSONS, lecture_path

# The English and the Spanish term, as the glossary has them, and the words that nobody is to use in their place.
# fmt: off
TERMS = [
    ("baseline", "línea base", r"base ?line system", r"l[ií]neas? de base|baselines?"),
    ("batch", "lote", r"minibatch(es)?", r"batch(es)?|minilotes?"),
    ("beam search", "búsqueda en haz", r"beam decoding", r"búsqueda (por|con) haces|beam search"),
    ("checkpoint", "checkpoint", r"check point", r"puntos? de control"),
    ("collator", "collator", r"collating function", r"agrupador(es)?|cotejador(es)?"),
    ("data card", "ficha de datos", r"data ?sheet", r"tarjeta de datos"),
    ("eval mode", "modo de evaluación", r"evaluation mode", r"modo eval"),
    ("F1", "F1", r"F-(measure|score)s?", r"(medida|puntuación|valor)(es)? F"),
    ("fertility", "fertilidad", r"token ratio", r"fecundidad"),
    ("fine-tuning", "ajuste fino", r"fine tuning|finetun\w+", r"afinad\w+|fine-tuning|reentrenamiento"),
    ("gradient clipping", "recorte de gradientes", r"gradient cropping", r"acortar los gradientes|gradient clipping"),
    ("greedy decoding", "búsqueda voraz", r"greedy search", r"decodificación (voraz|codiciosa)|búsqueda (codiciosa|ávida)"),
    ("leakage", "fuga de datos", r"data contamination", r"filtración(es)? de datos|contaminación"),
    ("learning rate", "tasa de aprendizaje", r"step size of learning", r"(ritmo|velocidad|razón) de aprendizaje"),
    ("model card", "ficha del modelo", r"model sheet", r"tarjeta del modelo"),
    ("padding", "relleno", r"filling tokens", r"padding"),
    ("prediction", "predicción", r"hypothes[ie]s", r"hipótesis"),
    ("recall", "exhaustividad", r"sensitivity", r"sensibilidad|cobertura|recall"),
    ("reference", "referencia", r"gold (title|summary|standard)", r"patrón oro"),
    ("right shift", "desplazamiento a la derecha", r"rightward shift", r"corrimiento"),
    ("schedule", "planificador", r"schedulers?", r"scheduler"),
    ("split", "partición", r"(training|test|validation) sets?", r"conjuntos? de (entrenamiento|validación|prueba)|splits?"),
    ("stemmer", "stemmer", r"stemming algorithm", r"lematizador(es)?|truncador(es)?"),
    ("teacher forcing", "teacher forcing", r"forced teaching", r"forza(do|miento) del profesor"),
    ("tokenizer", "tokenizador", r"tokeniser", r"tokenizer"),
    ("truncation", "truncamiento", r"truncature", r"truncación"),
]
# fmt: on
NO_TERM = r"evidencias?|por omisión|predeterminad[oa]s?"
"""Spanish words with one chosen form that is no term: *indicios*, *por defecto*."""

CODE = re.compile(r"```.*?```|`[^`]*`|<[^>]+>|\]\([^)]*\)|https?://\S+", re.DOTALL)
NUMBERED = re.compile(r"(?:Python|CC BY|Apache|versión)[ -][\d.]+")


def prose(text):
    """Return a text without code, tags, link targets and the numbers of versions and licences."""
    return NUMBERED.sub(" ", CODE.sub(" ", text))


def glossary(root):
    """Return the rows of the glossary: English, Spanish, and what each means."""
    lines = (root / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| ")][1:]


@pytest.fixture(scope="module")
def texts(root):
    """Return {language: [(where, text)]} of glossary, quizzes and the two READMEs."""
    found = {"en": [("README.md", (root / "README.md").read_text(encoding="utf-8"))]}
    found["es"] = [("README.es.md", (root / "README.es.md").read_text(encoding="utf-8"))]
    for english, spanish, meaning, significado in glossary(root):
        found["en"].append((f"glossary, {english}", f"{english}: {meaning}"))
        found["es"].append((f"glossary, {english}", f"{spanish}: {significado}"))
    for lesson in LESSONS:
        quiz = load_quiz(root / "quizzes" / f"{lesson}.yaml")
        for question in quiz.questions:
            parts = [question.prompt, question.reason or {}]
            parts += [text for choice in question.choices for text in (choice.text, choice.reason)]
            parts += [mistake.reason for mistake in question.mistakes]
            for language in found:
                found[language] += [(question.id, part.get(language, "")) for part in parts]
    return {language: [(where, prose(text)) for where, text in some] for language, some in found.items()}


def uses_of(pattern, some):
    found = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)
    return [f"{where}: {match[0]}" for where, text in some for match in found.finditer(text)]


@pytest.mark.parametrize(("english", "spanish", "not_english", "not_spanish"), TERMS, ids=[term[0] for term in TERMS])
def test_one_term_for_one_concept(root, texts, english, spanish, not_english, not_spanish):
    assert [row[1] for row in glossary(root) if row[0] == english] == [spanish]
    assert uses_of(not_english, texts["en"]) + uses_of(not_spanish, texts["es"]) == []


def test_spanish_is_written_in_one_way(texts):
    """Decimal comma, « » and no straight marks, one of two possible words; code and what programs print stay as they are."""
    assert uses_of(NO_TERM, texts["es"]) == []
    assert [(where, match) for where, text in texts["es"] for match in re.findall(r"\d+\.\d+", text)] == []
    assert [(where, text) for where, text in texts["es"] if '"' in text] == []


def test_the_glossary_is_in_order_and_whole(root):
    rows = glossary(root)
    assert {len(row) for row in rows} == {4}
    terms = [row[0].casefold().lstrip("-") for row in rows]
    assert terms == sorted(terms)
    assert [row[0] for row in rows if not all(row)] == []


# What the primer teaches (CURRICULUM of the course), and how each concept looks where it is used.
CONCEPTS = {
    "token, piece": r"pieces?|tokens?",
    "vector": r"vectors?",
    "embedding": r"embeddings?",
    "dot product": r"dot products?",
    "softmax": r"softmax",
    "query, key, value": r"quer(?:y|ies)",
    "attention": r"attention",
    "attention weight": r"attention weights?",
    "self-attention": r"self-attention",
    "cross-attention": r"cross-attention",
    "encoder": r"encoders?",
    "decoder": r"decoders?",
    "head": r"heads?",
    "layer": r"layers?",
    "position bias": r"position bias",
    "hidden state": r"hidden states?",
    "mask": r"masks?",
    "causal mask": r"causal(?: masks?)?",
    "logit": r"logits?",
    "probability": r"probabilit(?:y|ies)",
    "generate": r"`generate`",
    "greedy decoding": r"greedy",
    "beam search": r"beam search|beams?",
    "label": r"`?labels?`?",
    "teacher forcing": r"teacher forcing",
    "right shift": r"right shift",
    "loss": r"loss",
    "cross-entropy": r"cross-entropy",
    "-100": r"-100",
    "gradient": r"gradients?",
    "learning rate": r"learning rates?",
    "optimizer": r"optimizers?",
    "dropout": r"dropout",
    "eval mode": r"eval mode",
    "epoch": r"epochs?",
    "pretraining": r"pretraining",
    "fine-tuning": r"fine-tuning",
    "span corruption": r"span corruption",
    "sentinel": r"sentinels?",
}


def words_of(path):
    """Return the prose of a lecture: no outputs, no code, no answers to exercises."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    hidden = r"<details><summary>Answer.*?</details>|```.*?```"
    return " ".join(re.sub(hidden, "", "\n".join(cells), flags=re.DOTALL).split())


@pytest.mark.parametrize(("term", "form"), CONCEPTS.items(), ids=CONCEPTS)
def test_no_concept_of_the_primer_is_used_before_it_is_defined(root, term, form):
    """Its definition is in bold, in the primer or in the stage that uses it first; the glossary has it, too."""
    assert term in [row[0] for row in glossary(root)]
    for lesson in (lesson for lesson in LESSONS if lesson != "stage1_corpus"):
        text = words_of(lecture_path(root, lesson))
        bold = re.search(rf"\*\*(?:{form})\*\*", text, re.IGNORECASE)
        used = re.search(rf"(?<![\w-])(?:{form})(?![\w-])", text, re.IGNORECASE)
        if bold and (lesson == "primer" or bold.start() <= used.start()):
            return
        assert lesson == "primer" or not used, f"{lesson} uses {used[0]!r} before a definition in bold"
    pytest.fail("no lecture defines it in bold")


def test_helpers_find_words_in_prose():
    text = prose(
        "Un split, tres *splits* y ningún `split` en [este](a/split.md): https://example.org/split 0.5 Python 3.10"
    )
    assert uses_of(r"splits?", [("here", text)]) == ["here: split", "here: splits"]
    assert re.findall(r"\d+\.\d+", text) == ["0.5"]
