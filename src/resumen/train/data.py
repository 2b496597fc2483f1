"""The rows of a run, and the order in which it reads them."""

from collections.abc import Iterator

import torch
from datasets import Dataset, DatasetDict
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from resumen.corpus import BOOKS, load_reviews, load_synopses, prepare_pairs
from resumen.errors import CourseError
from resumen.tokenization import collate


def load_corpus(name: str, limit: int | None) -> DatasetDict:
    """Return the clean bilingual pairs of the reviews (books and e-books) or of the synopses, validation and test by length."""
    if name == "reviews":
        pairs = prepare_pairs(load_reviews("en"), load_reviews("es"), BOOKS)
    else:
        pairs = prepare_pairs(load_synopses("en"), load_synopses("es"))
    if limit is not None:
        pairs = DatasetDict({split: rows.select(range(min(limit, len(rows)))) for split, rows in pairs.items()})
    # Short rows first. Rows of like length share a batch, and the rows that Accelerate repeats to fill the last batch come
    # from the beginning: being short, they do not lengthen the padding of the others.
    for split in ("validation", "test"):
        lengths = [len(body) for body in pairs[split]["review_body"][:]]
        pairs[split] = pairs[split].select(sorted(range(len(lengths)), key=lengths.__getitem__))
    return pairs


class EpochSampler(Sampler):
    """A new order of the rows for every epoch, known from the seed and the epoch alone: no state to save.

    Rows of like length share a batch, as in stage 4: a batch is padded to its longest row. Rows that do not fill a batch are left out, other
    ones in each epoch. Accelerate would otherwise repeat rows to give every process as many as the others, and how many depends on the
    number of processes.

    Raises:
        CourseError: if there is less than one batch.
    """

    def __init__(self, rows: Dataset, batch_size: int, seed: int):
        self.lengths, self.titles = ([len(ids) for ids in rows[name][:]] for name in ("input_ids", "labels"))
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        if len(self) == 0:
            raise CourseError(
                f"The training split has {len(rows)} rows, fewer than one batch of {batch_size}: lower --batch-size."
            )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) - len(self.lengths) % self.batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator)[: len(self)])

    def token_counts(self, epoch: int) -> list[int]:
        """Return the number of title tokens in each batch of an epoch. Every process knows it, so none has to ask the others."""
        self.set_epoch(epoch)
        tokens = [self.titles[row] for row in self]
        return [sum(tokens[start : start + self.batch_size]) for start in range(0, len(tokens), self.batch_size)]


def make_collator(model):
    """Return the function that pads a list of rows to a batch for this model."""
    config = model.config
    return lambda features: collate(features, config.pad_token_id, config.decoder_start_token_id)
