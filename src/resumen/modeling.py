"""Load a checkpoint, decode and summarize with it, save it, describe it."""

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch
from huggingface_hub.errors import HfHubHTTPError
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from resumen.errors import CourseError, first_sentence
from resumen.files import METRICS, NEEDED
from resumen.hub import refusal
from resumen.profiles import Profile, current_profile

SENTINELS = 100
"""T5 and mT5 were pretrained with this many."""

FINAL_DECODING = {"num_beams": 16, "length_penalty": 0.7, "no_repeat_ngram_size": 3}
"""How titles are written for the scores that are reported: the row that data/runs/README.md chooses from data/runs/decoding.csv. While a model trains, greedy decoding
is enough, and cheaper."""


def load_checkpoint(
    name: str | Path | None = None, profile: Profile | None = None
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return (tokenizer, model) of a checkpoint folder or a Hub name; by default the profile's checkpoint.

    The model generates at most the profile's `max_target_length` new tokens, by greedy decoding.

    Raises:
        CourseError: if the folder is not a checkpoint, or the Hub cannot be asked for the name.
    """
    profile = profile or current_profile()
    name = str(name or profile.checkpoint)
    if Path(name).is_dir():
        missing = [file for file in NEEDED if not (Path(name) / file).is_file()]
        if missing:
            raise CourseError(
                f"{name} is not a checkpoint: it lacks {', '.join(missing)}; name a folder written by save_pretrained."
            )
    elif name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CourseError(
            f"There is no checkpoint folder {name}: check the path, or give a Hub name such as google/mt5-small."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSeq2SeqLM.from_pretrained(name)
    except (OSError, ValueError, HfHubHTTPError) as error:
        if "tiktoken" in str(error) and (lacking := lacking_for_vocabulary()):
            told = f"The vocabulary of {name} cannot be read without {' and '.join(lacking)}: run `pip install {' '.join(lacking)}`."
        else:
            told = refusal(error, name) or f"The checkpoint {name} could not be loaded: {first_sentence(str(error))}."
        raise CourseError(told) from None
    mark_sentinels(tokenizer)
    # Without a length of its own, generate() stops after 20 new tokens, whatever the titles need.
    model.generation_config = generation_defaults(model, profile.max_target_length)
    return tokenizer, model


def lacking_for_vocabulary() -> list[str]:
    """Return which of the libraries are missing that read mT5's published vocabulary. Without them transformers asks for tiktoken, which cannot."""
    return [name for name in ("protobuf", "sentencepiece") if not any(metadata.distributions(name=name))]


def mark_sentinels(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make special pieces of the sentinels, in place, where they are ordinary ones. Ids and ways to cut a text stay.

    The published vocabulary of mT5 has them as `▁<extra_id_0>` and so on, which `skip_special_tokens` would leave in a title.
    """
    pieces = [f"▁<extra_id_{number}>" for number in range(SENTINELS)]
    known = [piece for piece in pieces if tokenizer.convert_tokens_to_ids(piece) not in (None, tokenizer.unk_token_id)]
    if known:
        tokenizer.add_special_tokens({"extra_special_tokens": known})


def generation_defaults(model: PreTrainedModel, max_new_tokens: int) -> GenerationConfig:
    """Return the course's decoding: greedy decoding, at most `max_new_tokens` new tokens."""
    config = model.config
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        num_beams=1,
        do_sample=False,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
    )


def greedy_decode(
    model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_new_tokens: int
) -> torch.Tensor:
    """Return what `generate` writes with one beam and without sampling: start, pieces, `</s>`, padding. Stage 2 builds this loop by hand.

    The encoder runs once. The model decodes in eval mode, and its mode is restored.
    """
    config, was_training = model.config, model.training
    model.eval()
    try:
        with torch.no_grad():  # not a decorator: `resumen.own` could not see behind it
            encoded = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)
            written = input_ids.new_full((len(input_ids), 1), config.decoder_start_token_id)
            has_ended = torch.zeros_like(written, dtype=torch.bool)
            for _ in range(max_new_tokens):
                output = model(encoder_outputs=encoded, attention_mask=attention_mask, decoder_input_ids=written)
                pieces = output.logits[:, -1:].argmax(dim=-1).masked_fill(has_ended, config.pad_token_id)
                written = torch.cat([written, pieces], dim=1)
                has_ended |= pieces == config.eos_token_id
                if has_ended.all():
                    break
    finally:
        model.train(was_training)
    return written


class Summarizer:
    """Text in, summary out: a fine-tuned model that people can use.

    Args:
        model: a seq2seq model; it is used where it lies, in eval mode, and its mode is restored.
        tokenizer: the model's tokenizer.
        max_input_length: tokens of a text that are read, `</s>` included.
        batch_size: texts per call of `generate`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_input_length: int = 512,
        batch_size: int = 16,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.max_input_length = max_input_length
        self.batch_size = batch_size

    def __call__(self, texts: str | list[str], **generation) -> str | list[str]:
        """Return one summary per text, in order: a string for a string, a list for a list, "" for a blank text.

        Keyword arguments go to `generate`, over the model's own generation_config.
        """
        if isinstance(texts, str):
            return self([texts], **generation)[0]
        summaries = [""] * len(texts)
        # Texts of like length share a batch: less padding, and a batch gives what single texts give.
        order = sorted((index for index, text in enumerate(texts) if text.strip()), key=lambda index: len(texts[index]))
        was_training = self.model.training
        self.model.eval()
        try:
            for start in range(0, len(order), self.batch_size):
                chosen = order[start : start + self.batch_size]
                for index, summary in zip(
                    chosen, self._generate([texts[index] for index in chosen], generation), strict=True
                ):
                    summaries[index] = summary
        finally:
            self.model.train(was_training)
        return summaries

    def _generate(self, texts: Sequence[str], generation: dict) -> list[str]:
        tokens = self.tokenizer(
            list(texts), max_length=self.max_input_length, truncation=True, padding=True, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            output = self.model.generate(**tokens, **generation)
        special = set(self.tokenizer.all_special_ids)
        # Sentinels count as special tokens, so a model that was never fine-tuned gives little or nothing.
        return [
            self.tokenizer.decode([token for token in row if token not in special]).strip() for row in output.tolist()
        ]


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: str | Path, accelerator, metrics: dict
) -> Path:
    """Save model, tokenizer and `metrics.json` into `directory` (made if need be) and return it as a Path.

    On several processes every process calls this; the main one writes.
    """
    directory = Path(directory)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        directory.mkdir(parents=True, exist_ok=True)
        accelerator.unwrap_model(model).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        (directory / METRICS).write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()
    return directory


REVIEW_LIMITS = (
    "It was trained on short product reviews. On other texts, or other languages, it makes titles up.",
    "A title can state what the review does not say: check numbers and negations before you publish one.",
    "ROUGE counts shared words. It does not measure whether a title is true.",
)


def model_card(
    metrics: dict[str, dict[str, float]],
    base_model: str,
    languages: list[str],
    license: str,
    title: str = "Review titles from reviews",
    about: str = "writes a title for a product review",
    limits: Sequence[str] = REVIEW_LIMITS,
) -> str:
    """Return a model card: a YAML head that the Hub reads, scores per language, and the limits.

    Args:
        metrics: {"all" | "en" | "es": {score name: value}}.
        base_model: the checkpoint that was fine-tuned.
        languages: language codes.
        license: what the weights may be used under, as the Hub spells it. It follows from the checkpoint and from the texts: "cc-by-4.0" for the course's own,
            "mpl-2.0" for the help pages, "other" where each row has a licence of its own.
        title: the card's heading.
        about: what the model does, as the end of a sentence.
        limits: one sentence each.
    """
    scores = list(dict.fromkeys(name for row in metrics.values() for name in row))
    table = [
        f"| {language} | " + " | ".join(f"{row[name]:.2f}" if name in row else "" for name in scores) + " |"
        for language, row in metrics.items()
    ]
    head = [
        "---",
        "language:",
        *(f"- {language}" for language in languages),
        f"license: {license}",
        f"base_model: {base_model}",
    ]
    head += ["pipeline_tag: summarization", "metrics:", "- rouge", "---"]
    body = f"""
# {title}

A fine-tuned copy of `{base_model}` that {about}.

## Scores

ROUGE F-measure × 100 on the test split, accents kept, no stemming.

| language | {" | ".join(scores)} |
|---|{"---|" * len(scores)}
{chr(10).join(table)}

## Limits

{chr(10).join(f"- {limit}" for limit in limits)}
"""
    return "\n".join(head) + "\n" + body
