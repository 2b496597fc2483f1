"""LoRA: train two narrow matrices beside some of a checkpoint's, save them alone, and add them to the checkpoint at the end.

Needs the extra `peft`. `python -m resumen.train --lora-rank 8` uses it; docs/lora.md has what it costs and what it gains.
"""

import copy
import warnings
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from resumen.errors import CourseError
from resumen.files import read_json
from resumen.modeling import load_checkpoint
from resumen.profiles import Profile

TARGETS = ("q", "v")
"""The matrices of mT5's attention that get a pair beside them, as in stage 4: queries and values."""


def add_lora(model: PreTrainedModel, rank: int = 8, seed: int = 0) -> torch.nn.Module:
    """Freeze the model and return it with a pair of trainable matrices of this rank beside each of `TARGETS`; `seed` draws them.

    The model itself is changed. It answers as before, since one matrix of each pair begins at zero.

    Raises:
        CourseError: if peft is not installed, or the model has no such matrices.
    """
    peft = _peft()
    config = peft.LoraConfig(
        task_type="SEQ_2_SEQ_LM", r=rank, lora_alpha=2 * rank, target_modules=list(TARGETS), lora_dropout=0.0
    )
    torch.manual_seed(seed)
    try:
        return peft.get_peft_model(model, config)
    except ValueError:
        raise CourseError(
            f"LoRA looks for matrices called {' and '.join(TARGETS)}, and {type(model).__name__} has none: take an mT5 checkpoint."
        ) from None


def merge(model: torch.nn.Module) -> PreTrainedModel:
    """Return a plain model, each pair added to its matrix: it is saved, loaded and served as any other. The given one stays as it is."""
    with warnings.catch_warnings():
        # Of an mT5 checkpoint transformers says that input and output embeddings are tied. They never were, and no pair is beside them.
        warnings.filterwarnings("ignore", message="Input and output embeddings are no longer tied")
        return copy.deepcopy(model).merge_and_unload()


def load_adapter(
    folder: str | Path, base: str | Path | None = None, profile: Profile | None = None
) -> tuple[PreTrainedTokenizerBase, torch.nn.Module]:
    """Return (tokenizer, model) of a folder that holds only the pairs, written by `save_pretrained`.

    Args:
        folder: it has `adapter_config.json` and `adapter_model.safetensors`.
        base: the checkpoint beside which they were trained; by default the one that the folder names.
        profile: see `load_checkpoint`.

    Raises:
        CourseError: if peft is not installed, a file is missing, or the base is none.
    """
    peft = _peft()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not Path(folder, name).is_file():
            raise CourseError(f"{folder} is not an adapter: it lacks {name}; name a folder written by save_pretrained.")
    base = base or read_json(Path(folder, "adapter_config.json")).get("base_model_name_or_path")
    tokenizer, model = load_checkpoint(base, profile)
    try:
        return tokenizer, peft.PeftModel.from_pretrained(model, folder)
    except (RuntimeError, ValueError):
        raise CourseError(
            f"The adapter {folder} was trained beside another checkpoint than {base}: name its own."
        ) from None


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Return how many parameters are trained, and how many there are."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def _peft():
    try:
        import peft
    except ImportError:
        raise CourseError(
            "LoRA needs the library peft: run `pip install -e '.[peft]' -c constraints.txt` in the repository."
        ) from None
    return peft
