"""Explorers of a model: its attention, and the pieces that it writes."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from resumen.explore.panel import Slider, Typed, panel
from resumen.plots import PALETTE, STYLE, heat_maps

SHOWN = 8
"""Candidates for the next piece that are drawn."""

LONGEST = 40
"""Pieces of a text in a table of weights: more cannot be read."""


def attention(text: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
    """Show the attention weights of the encoder for a text, for the layer and the head that the reader chooses."""

    def draw(words: str, layer: int, head: int) -> tuple[Figure, str]:
        inputs = tokenizer(words, truncation=True, max_length=LONGEST, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            weights = model.encoder(**inputs, output_attentions=True).attentions[layer - 1][0, head - 1]
        pieces = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        table = pd.DataFrame(weights.float().cpu().numpy(), index=pieces, columns=pieces)
        title = f"Layer {layer}, head {head}"
        return heat_maps({"this text": table}, "gives", "takes", title, "attention weight")

    # Of several ways to compute attention, the one that can return its weights.
    model.set_attn_implementation("eager")
    layers, heads = model.config.num_layers, model.config.num_heads
    return panel(draw, [Typed("Text", text), Slider("Layer", 1, 1, layers), Slider("Head", 1, 1, heads)])


def decoding(text: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, limit: int = 12):
    """Show what the model would write next, after as many steps of greedy decoding as the reader chooses."""

    def draw(words: str, step: int) -> tuple[Figure, str]:
        inputs = tokenizer(words, truncation=True, return_tensors="pt").to(model.device)
        written = torch.tensor([[model.config.decoder_start_token_id]], device=model.device)
        for _ in range(step):
            with torch.inference_mode():
                logits = model(**inputs, decoder_input_ids=written).logits[0, -1]
            if written[0, -1] == tokenizer.eos_token_id:
                break
            probabilities, best = torch.softmax(logits, dim=-1).topk(SHOWN)
            before, written = written, torch.cat([written, best[None, :1]], dim=1)
        so_far = " ".join(tokenizer.convert_ids_to_tokens(before[0]))
        shares = dict(zip(tokenizer.convert_ids_to_tokens(best), probabilities.tolist(), strict=True))
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
            axes.barh(range(SHOWN), list(shares.values()), color=PALETTE[0])
            axes.set_yticks(range(SHOWN), list(shares))
            axes.invert_yaxis()
            axes.set(
                xlim=(0, 1), xlabel="probability of the next piece", title=f"Step {before.shape[1]}, after {so_far}"
            )
        told = ", ".join(f"{piece} {share:.2f}" for piece, share in shares.items())
        return figure, f"Step {before.shape[1]}, after {so_far}. Bars of the probability of the next piece: {told}."

    return panel(draw, [Typed("Text", text), Slider("Step", 1, 1, limit)])
