"""What a reader does in a lecture: guess before an output is shown. Where nobody reads, the notebook runs as if it were not there."""

from resumen.explore.guess import predict
from resumen.explore.reader import reader_present

__all__ = ["predict", "reader_present"]
