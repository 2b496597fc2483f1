"""An answer is the student's own: while a task is tested, the package's version of its function is out of reach.

The package is the answer key to a student's *past* labs, and later tasks call it by name. So what is held back is one task's own
function, and only while an answer to that task runs:

- **By name**, however it was got hold of (an import, an alias, `sys.modules`, a closure, a partial): all of these lead to one
  function object, and that object's code is exchanged for the time of the task. What wraps the function calls the same object.
- **By copy or by file**: `watch()` refuses, for the life of a kernel, to read the source of these functions again, to run it
  again, and to make a new function of their code.

What this cannot hold back stands in docs/instructor.md.
"""

import linecache
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType, FrameType, FunctionType

KEY = {
    "corpus": "clean_text drop_invalid filter_categories has_min_words deduplicate remove_leakage build_bilingual "
    "prepare_pairs length_stats",
    "tokenization": "fertility truncation_rate preprocess tokenize_corpus shift_right causal_mask collate decode_labels",
    "text": "tokenize_words split_sentences",
    "metrics": "rouge_n rouge_l rouge_lsum evaluate_system paired_bootstrap verdict verdict_over_seeds "
    "novel_ngram_rate unsupported_numbers wrong_language",
    "baselines": "lead_k oracle_sentence constant_baseline nearest_title",
    "training": "overfit_one_batch make_compute_metrics make_training_arguments NanGuard build_trainer best_epoch "
    "train_epoch backward_accumulated evaluate",
    "modeling": "greedy_decode save_checkpoint Summarizer model_card",
    "projects.premier.tasks": "clean_rows split_by_family count_leaks family_interval fine_tune compare",
    "projects.premier.hand_in": "draw_error_sheet",
    "projects.capstone.hand_in": "decision",
}
"""The answer key: for each module of the package the graded functions that it has under the task's own name."""

ALSO = {
    "drop_invalid": "corpus._has_both corpus._valid corpus._pairs",
    "has_min_words": "columns.long_enough",
    "preprocess": "tokenization._preprocess_words tokenization._encode",
    "prepare_pairs": "corpus.clean_pairs",
    "tokenize_words": "metrics.WordTokenizer",
    "rouge_n": "metrics.rouge_scores metrics._overlap",
    "rouge_l": "metrics.rouge_scores metrics._common_subsequence",
    "rouge_lsum": "metrics.rouge_scores",
    "nearest_title": "baselines.nearest_titles",
    "paired_bootstrap": "metrics.mean_interval metrics.resampled_means",
    "verdict": "projects.premier.tasks.compare",
    "count_leaks": "text.near_duplicates projects.capstone.contract.leaking_groups",
    "weighted_kappa": "projects.capstone.raters.kappa projects.capstone.raters.kappa_interval",
    "blind_sheet": "projects.capstone.raters.rating_sheet",
    "stress": "projects.capstone.robustness._emoji projects.capstone.robustness._long",
}
"""What is the same under another name, or does the work that the package's function only passes on."""

PACKAGE = Path(__file__).resolve().parent

_cells = ("ipykernel", "<ipython-input")


class NotYourOwn(AssertionError):
    """An answer used the course's function instead of being one."""


class SourceHeld(PermissionError):
    """The source of the answer key was read in a kernel that a lab runs in."""


def key_of(task: str) -> list[str]:
    """Return the names, below `resumen`, of what is out of reach while this function is tested; none if it is not graded."""
    same = [f"{module}.{task}" for module, names in KEY.items() if task in names.split()]
    return [*same, *ALSO.get(task, "").split()]


def _functions(name: str) -> list[FunctionType]:
    """Return a function, or the methods of a class, by name; none where the module cannot be imported."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(f"resumen.{module}"), attribute)
    except (ImportError, AttributeError):
        return []
    some = vars(found).values() if isinstance(found, type) else [found]
    return [one for one in some if isinstance(one, FunctionType)]


def _guard():
    """Return `out_of_reach` and `watch`. What they know stays in here: no module holds it, so no attribute leads to it."""
    real: dict[FunctionType, CodeType] = {}
    users: dict[FunctionType, int] = {}
    lock = threading.RLock()
    sources: dict[str, str] = {}
    for module in {*KEY, *(name.rpartition(".")[0] for also in ALSO.values() for name in also.split())}:
        path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
        sources |= {str(path): module, cache_from_source(str(path)): module}
    ran: set[str] = set()
    exchanging = threading.local()

    def exchange(function: FunctionType, code: CodeType) -> None:
        exchanging.on = True
        try:
            function.__code__ = code
        finally:
            exchanging.on = False

    @contextmanager
    def out_of_reach(*tasks: str) -> Iterator[None]:
        """Hold back, in the block, the package's own version of these functions: whoever calls it gets `NotYourOwn`.

        Args:
            tasks: names of graded functions; a name that is none is passed over.
        """
        held = [(name, one) for task in tasks for name in key_of(task) for one in _functions(name)]
        with lock:
            for name, one in held:
                users[one] = users.get(one, 0) + 1
                if users[one] == 1:
                    real[one] = one.__code__
                    exchange(one, _refusal(name, one.__code__))
        try:
            yield
        finally:
            with lock:
                for _, one in held:
                    users[one] -= 1
                    if not users[one]:
                        exchange(one, real.pop(one))

    def key_codes() -> list[CodeType]:
        """Return the code of each loaded function of the key."""
        names = [
            f"{module}.{name}"
            for module, some in KEY.items()
            if f"resumen.{module}" in sys.modules
            for name in some.split()
        ]
        return [real.get(one, one.__code__) for name in names for one in _functions(name)]

    def is_key(code: CodeType) -> bool:
        """Say whether code is that of a function of the key, wherever it comes from. A student's own cell is no such place."""
        if _source_of(code.co_filename) in sources:
            return True
        if any(mark in code.co_filename for mark in _cells):
            return False
        known = (code.co_code, code.co_names, code.co_varnames)
        return any((one.co_code, one.co_names, one.co_varnames) == known for one in key_codes())

    def hook(event: str, details: tuple) -> None:
        if event == "open":
            path = _source_of(details[0])
            if path in sources:
                if path in ran or not _is_import(sys._getframe(1)):
                    raise SourceHeld(f"{Path(path).name} holds the course's own answers: write yours.")
            elif path.endswith(".ipynb") and (
                "solutions" in path.split(os.sep) or path.startswith(str(PACKAGE / "data" / "labs"))
            ):
                raise SourceHeld(f"{path} holds the course's own answers: write yours.")
        elif event == "exec" and isinstance(details[0], CodeType):
            path = _source_of(details[0].co_filename)
            if path in sources:
                frame = sys._getframe(1)
                if (
                    path in ran
                    or frame.f_code.co_name != "_call_with_frames_removed"
                    or "importlib" not in frame.f_code.co_filename
                ):
                    raise NotYourOwn(_words(f"resumen.{sources[path]}"))
                ran.update(known for known, module in sources.items() if module == sources[path])
        elif event == "function.__new__" or (event == "object.__setattr__" and details[1] == "__code__"):
            code = details[0] if event == "function.__new__" else details[2]
            if not getattr(exchanging, "on", False) and isinstance(code, CodeType) and is_key(code):
                raise NotYourOwn(_words(f"code of {code.co_name}"))
        elif event == "code.__new__" and any(one.co_code == details[0] for one in key_codes()):
            raise NotYourOwn(_words(f"code of {details[2]}"))  # with another file's name it would pass for a cell's
        elif users and event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn") and any(users.values()):
            raise NotYourOwn("An answer starts no other program while it is tested.")

    def watch() -> None:
        """Refuse from now on, as long as this process lives, to read or run the key's source again, or to copy its code."""
        if not ran:
            ran.update(path for path, module in sources.items() if f"resumen.{module}" in sys.modules)
            ran.add("")
            for path in sources:
                linecache.cache.pop(path, None)  # a warning may have read it
            sys.addaudithook(hook)

    return out_of_reach, watch


def _source_of(path) -> str:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    try:
        return os.path.realpath(os.fsdecode(path))
    except ValueError:
        return ""


def _is_import(frame: FrameType | None) -> bool:
    """Say whether a file is being read by an import statement, and not by somebody who calls the loader."""
    chain = []
    while frame is not None and len(chain) < 4:
        chain.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    bootstrap = "<frozen importlib._bootstrap"
    names = [name for file, name in chain if file.startswith(bootstrap)]
    return names[:4] == ["get_data", "get_code", "exec_module", "_load_unlocked"]


def _words(name: str) -> str:
    return f"This is the course's own function ({name}): write yours."


def _refusal(name: str, real: CodeType) -> CodeType:
    """Return code that stands in for that of the function: it raises."""
    lines = f"def refuse(*arguments, **named):\n    from resumen.own import NotYourOwn\n    raise NotYourOwn({_words(f'resumen.{name}')!r})"
    made: dict = {}
    exec(compile(lines, __file__, "exec"), made)
    return made["refuse"].__code__.replace(co_name=real.co_name)


out_of_reach, watch = _guard()
