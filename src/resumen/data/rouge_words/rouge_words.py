"""ROUGE on Unicode words, as a module for `evaluate.load(<path of this file>)`: it loads without the Hub."""

import datasets
import evaluate

from resumen.metrics import score_examples

_DESCRIPTION = (
    "Mean ROUGE F-measure × 100 on Unicode words: accents kept, no stemming, one sentence per line for rougeLsum."
)
_CITATION = "Lin (2004). ROUGE: A Package for Automatic Evaluation of Summaries. https://aclanthology.org/W04-1013"


class RougeWords(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description="predictions and references: lists of strings",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, references):
        return score_examples(predictions, references).mean().to_dict()
