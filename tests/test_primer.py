"""The primer: it explains each term before it uses it, and keeps to its length."""

import re

import nbformat
import pytest

from resumen.setup import PRIMER, lecture_path

# What the stages rely on: the word in bold where it is explained, and how it is written in the prose.
TERMS = {
    "parameter": "parameters?",
    "weight": None,  # also the attention weight, a term of its own
    "checkpoint": "checkpoints?",
    "piece": "pieces?",
    "token": "tokens?",
    "vocabulary": "vocabular(?:y|ies)",
    "tokenizer": "tokenizers?",
    "vector": "vectors?",
    "embedding": "embeddings?",
    "tensors": "tensors?",
    "dot product": "dot products?",
    "softmax": "softmax",
    "probability": "probabilit(?:y|ies)",
    "attention": "attention",
    "query": "quer(?:y|ies)",
    "key": "keys?",
    "value": None,  # an everyday word as well
    "attention weight": "attention weights?",
    "self-attention": "self-attention",
    "head": "heads?",
    "layer": "layers?",
    "hidden state": "hidden states?",
    "position bias": "position bias",
    "dropout": "dropout",
    "eval mode": "eval mode",
    "encoder": "encoder",
    "decoder": "decoder",
    "cross-attention": "cross-attention",
    "mask": "masks?",
    "causal": "causal",
    "pretraining": "pretraining",
    "span corruption": "span corruption",
    "sentinel": "sentinels?",
    "fine-tuning": "fine-tuning",
    "logit": "logits?",
    "greedy": "greedy",
    "generate": "`generate`",
    "beam search": "beam search|beams?",
    "labels": "labels?",
    "teacher forcing": "teacher forcing",
    "right shift": "right shift|shifted",
    "loss": "loss",
    "cross-entropy": "cross-entropy",
    "gradient": "gradients?",
    "learning rate": "learning rates?",
    "-100": "-100",
    "batch": "batch(?:es)?",
    "optimizer": "optimizers?",
    "epoch": "epochs?",
}


@pytest.fixture(scope="module")
def primer(root):
    return nbformat.read(lecture_path(root, PRIMER), as_version=4)


@pytest.fixture(scope="module")
def prose(primer):
    """The text after the opening box, without headings, comments and addresses, as one line."""
    cells = [cell.source for cell in primer.cells[1:] if cell.cell_type == "markdown"]
    text = re.sub(r"<!--.*?-->|\]\([^)]*\)", " ", "\n\n".join(cells), flags=re.DOTALL)
    return " ".join(line for line in re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE).split())


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_where_it_is_first_used(prose, term):
    explained = re.search(rf"\*\*`?{re.escape(term)}`?\*\*", prose, flags=re.IGNORECASE)
    assert explained, f"**{term}** is explained nowhere"
    if TERMS[term]:
        first = re.search(rf"(?<![\w-])(?:{TERMS[term]})(?![\w-])", prose, flags=re.IGNORECASE)
        assert first.start() >= explained.start(), f"used before: … {prose[first.start() - 60 : first.end() + 60]} …"


def test_every_term_is_in_the_closing_table_and_the_glossary(root, primer):
    (table,) = [cell.source for cell in primer.cells if "| term | in a few words |" in cell.source]
    glossary = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    for page in (table, glossary):
        names = " ".join(re.findall(r"^\| (.*?) \|", page, flags=re.MULTILINE))
        missing = [term for term in TERMS if term.removesuffix("s") not in names and term not in ("causal", "-100")]
        assert missing == [], page[:40]
