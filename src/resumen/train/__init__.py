"""The loop of the stage 5 lecture as a script: one process or many, stopped at any moment, the same scores.

    python -m resumen.train --output run                                                  one process
    torchrun --standalone --nproc_per_node 2 -m resumen.train --output run --cpu          two processes on the CPU

`--expect-processes 2` stops a launch that silently started another number. The folder `run` then holds `metrics.json`, the
fine-tuned `model`, and `checkpoints`. A run that was killed goes on from the last of them when started again.
"""
