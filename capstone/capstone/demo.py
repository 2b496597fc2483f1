"""A page on your own machine: a text in, a headline out, and what to doubt about it.

    pip install -e '.[demo]' -c constraints.txt
    python demo.py --checkpoint model

Nothing leaves the machine: analytics are off, there is no share link, and the page is served on 127.0.0.1 only.
"""

import argparse
import os
import sys

# Read once, when gradio is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from resumen.errors import CourseError
from resumen.metrics import novel_ngram_rate, unsupported_numbers
from resumen.modeling import Summarizer, load_checkpoint

EXAMPLES = (
    "The old bridge in Northmere will close to traffic for 6 weeks from March while workers repair flood damage, the council "
    "said on Tuesday. Pedestrians and cyclists will still be able to cross at weekends.",
    "El loro que se había escapado de una casa de Villarrosal apareció el lunes después de recitarle a un cartero el teléfono "
    "de su dueña. Tenía hambre, pero estaba ileso.",
)
LONGEST = 20_000
"""Characters that are read. More would only keep the page waiting: the model reads the beginning."""


def make_answer(summarize: Summarizer):
    """Return the function behind the button: text in, (headline, remarks) out."""

    def answer(text: str) -> tuple[str, str]:
        if not text.strip():
            return "", "Write or paste a text first. / Escribe o pega primero un texto."
        headline = summarize(text[:LONGEST])
        numbers = unsupported_numbers(headline, text)
        remarks = [f"New words: {100 * novel_ngram_rate(headline, text):.0f} %"]
        if numbers:
            remarks.append(f"Numbers that are not in the text: {', '.join(numbers)}")
        if not headline:
            remarks.append("The model wrote nothing: was this checkpoint fine-tuned?")
        return headline, " · ".join(remarks)

    return answer


def build(summarize: Summarizer):
    """Return the page, not yet served."""
    import gradio as gr

    with gr.Blocks(title="Headlines / Titulares", analytics_enabled=False) as page:
        gr.Markdown(
            "# Headlines / Titulares\nA headline can be wrong. Check it. / Un titular puede ser falso. Compruébalo."
        )
        text = gr.Textbox(label="Text / Texto", lines=6)
        button = gr.Button("Write a headline / Escribir un titular", variant="primary")
        headline = gr.Textbox(label="Headline / Titular")
        remarks = gr.Textbox(label="Doubts / Dudas")
        gr.Examples([[example] for example in EXAMPLES], inputs=[text], label="Examples / Ejemplos")
        button.click(make_answer(summarize), inputs=text, outputs=[headline, remarks], api_name=False)
    return page


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until it is stopped; a mistake costs one sentence and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint",
        help="folder of the fine-tuned model; by default the embedded one, which has never seen a headline",
    )
    parser.add_argument("--port", type=int, default=7860)
    options = parser.parse_args(arguments)
    try:
        tokenizer, model = load_checkpoint(options.checkpoint)
        page = build(Summarizer(model, tokenizer))
    except ModuleNotFoundError as error:
        print(
            f"demo.py: {error.name} is not installed: run pip install -e '.[demo]' -c constraints.txt.", file=sys.stderr
        )
        return 1
    except CourseError as error:
        print(f"demo.py: {error}", file=sys.stderr)
        return 1
    page.launch(server_name="127.0.0.1", server_port=options.port, share=False, inbrowser=False, quiet=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
