"""How a model of a run is scored: the titles that it writes on all processes together, and their ROUGE."""

import torch
from accelerate import Accelerator
from datasets import Dataset
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader

from resumen.errors import CourseError
from resumen.metrics import evaluate_system
from resumen.tokenization import decode_labels
from resumen.train.data import make_collator


def generate(model, rows: Dataset, tokenizer, accelerator: Accelerator, batch_size: int, **search) -> list[str]:
    """Return one title per row, in order, on every process; the model is left in eval mode.

    `gather_for_metrics` drops the rows that were repeated to fill the last batch. The row numbers travel along and are checked.

    Args:
        model: with all its weights in this process, not wrapped: DDP has no `generate`.
        batch_size: rows that a process generates for at a time.
    """
    collator = make_collator(model)

    def numbered(features: list[dict]) -> dict[str, torch.Tensor]:
        return {**collator(features), "row": torch.tensor([feature["row"] for feature in features])}

    loader = accelerator.prepare(
        DataLoader(rows.add_column("row", list(range(len(rows)))), batch_size=batch_size, collate_fn=numbered)
    )
    model.eval()
    titles: list[str] = []
    numbers: list[int] = []
    for batch in loader:
        with torch.inference_mode(), accelerator.autocast():
            output = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **search)
        output = accelerator.pad_across_processes(output, dim=1, pad_index=tokenizer.pad_token_id)
        output, row = accelerator.gather_for_metrics((output, batch["row"]))
        titles += decode_labels(output.cpu(), tokenizer)
        numbers += row.tolist()
    if numbers != list(range(len(rows))):
        raise CourseError(
            f"{len(rows)} rows gave {len(numbers)} titles: this is a fault of the script, please report it."
        )
    return titles


def assemble(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor that FSDP may have spread over the processes as a whole one; every process calls this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def fill(whole: torch.nn.Module, sharded: torch.nn.Module) -> torch.nn.Module:
    """Copy the weights of a model that FSDP has spread over the processes into a whole one of the same shape, and return that.

    Every process calls this. `generate` calls parts of a model, and FSDP puts weights together only when the model as a whole is called.
    """
    parts = sharded.state_dict()
    for name, weight in whole.state_dict().items():
        weight.copy_(assemble(parts[name]))
    return whole


def score(titles: list[str], test: Dataset) -> dict[str, dict]:
    """Return {"all" or language: scores} of titles for the rows of a split; a language without rows is left out."""
    table = evaluate_system(titles, test["review_title"][:], test["language"][:])
    return {language: row for language, row in table.to_dict(orient="index").items() if row["n"]}


def print_scores(scores: dict[str, dict]) -> None:
    """Print one line per language."""
    for language, row in scores.items():
        values = " ".join(f"{name} {value:.2f}" for name, value in row.items() if name != "n")
        print(f"{language:3} {values} · {row['n']:.0f} test rows")
