"""The labs' proof: what each answer is worth. A mistake costs its own task, and no right answer costs anything."""

import ast
import functools
import inspect
import os
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from labrun import KEY_IN_REACH, Lab, answered, untouched
from mutation import equivalent, mutants

from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG

ROOT = Path(__file__).parents[2]

SIGNATURES = {
    "stage1_corpus": """
        clean_text(text: str | None) -> str
        drop_invalid(dataset: Dataset) -> Dataset
        filter_categories(corpus: DatasetDict, categories: Collection[str]) -> DatasetDict
        has_min_words(title: str, min_words: int = 3) -> bool
        deduplicate(dataset: Dataset) -> Dataset
        remove_leakage(train: Dataset, held_out: Dataset) -> Dataset
        build_bilingual(english: DatasetDict, spanish: DatasetDict, seed: int = 42) -> DatasetDict
        prepare_pairs(english: DatasetDict, spanish: DatasetDict, categories: Collection[str]) -> DatasetDict
        length_stats(dataset: Dataset) -> pd.DataFrame
    """,
    "stage2_tokenization": """
        preprocess(batch: dict, tokenizer, max_input_length: int, max_target_length: int) -> dict
        tokenize_corpus(corpus: DatasetDict, tokenizer, max_input_length: int, max_target_length: int) -> DatasetDict
        shift_right(labels: torch.Tensor, decoder_start_token_id: int, pad_token_id: int) -> torch.Tensor
        causal_mask(length: int) -> torch.Tensor
        collate(features: list[dict], pad_token_id: int, decoder_start_token_id: int) -> dict[str, torch.Tensor]
        fertility(texts: list[str], tokenizer) -> float
        truncation_rate(texts: list[str], tokenizer, max_length: int) -> float
        decode_labels(labels: torch.Tensor | np.ndarray, tokenizer) -> list[str]
        greedy_decode(model, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_new_tokens: int) -> torch.Tensor
    """,
    "stage3_rouge_baseline": """
        tokenize_words(text: str) -> list[str]
        rouge_n(prediction: str, reference: str, n: int = 1) -> Score
        rouge_l(prediction, reference) -> Score
        rouge_lsum(prediction, reference) -> Score
        split_sentences(text: str, language: str) -> list[str]
        lead_k(text: str, language: str, k: int = 3) -> str
        oracle_sentence(text: str, reference: str, language: str) -> str
        constant_baseline(titles: Sequence[str], references: Sequence[str]) -> str
        nearest_title(text: str, train_texts: Sequence[str], train_titles: Sequence[str]) -> str
        evaluate_system(predictions, references, languages) -> pd.DataFrame
        paired_bootstrap(scores_a, scores_b, n_resamples: int = 1000, seed: int = 0) -> dict
        rate_baselines() -> str
    """,
    "stage4_trainer": """
        make_compute_metrics(tokenizer) -> Callable
        make_training_arguments(output_dir: str, num_train_epochs: float, learning_rate: float, batch_size: int, \
            max_target_length: int) -> Seq2SeqTrainingArguments
        build_trainer(model, arguments, tokenized: DatasetDict, tokenizer) -> Seq2SeqTrainer
        overfit_one_batch(model, batch, steps: int, learning_rate: float) -> list[float]
        best_epoch(log_history: list[dict], metric: str = "eval_rougeL") -> dict
        NanGuard.on_log(self, args, state, control, logs=None, **kwargs)
        diagnose() -> dict[str, int]
        verdict(model_scores, baseline_scores, seed: int = 0) -> str
        verdict_over_seeds(model_scores: Sequence[Sequence[float]], baseline_scores: Sequence[float], \
            n_resamples: int = 1000, seed: int = 0) -> dict
    """,
    "stage5_accelerate": """
        train_epoch(model, dataloader, optimizer, scheduler, accelerator) -> float
        backward_accumulated(model, batches: Sequence[dict], accelerator) -> float
        evaluate(model, dataloader, tokenizer, accelerator, max_new_tokens: int) -> dict[str, float]
        save_checkpoint(model, tokenizer, directory, accelerator, metrics: dict) -> Path
        Summarizer.__init__(self, model, tokenizer, max_input_length=512, batch_size=16)
        Summarizer.__call__(self, texts: str | list[str], **generation) -> str | list[str]
        novel_ngram_rate(summary: str, source: str, n: int = 1) -> float
        unsupported_numbers(summary: str, source: str) -> list[str]
        wrong_language(summary: str, source_language: str) -> bool
        rate_titles() -> str
        model_card(metrics: dict, base_model: str, languages: list[str], license: str) -> str
    """,
}
"""What each lab asks for. Later stages and other people's answers use exactly these. A type that is not given here is free."""

FUNCTIONS = {
    stage: " ".join(dict.fromkeys(re.findall(r"^ {8}(\w+)", lines, flags=re.MULTILINE)))
    for stage, lines in SIGNATURES.items()
}

HIDDEN = re.compile(r"^### BEGIN HIDDEN TESTS$.*?^### END HIDDEN TESTS$", flags=re.DOTALL | re.MULTILINE)

WRONG_ANSWERS, RIGHT_ANSWERS = 4, 2
"""How many of each a function needs in mutants/."""

runs_labs = [
    pytest.mark.slow,
    pytest.mark.repeats("stage2"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="answers run in forks of one process, which Windows has not"),
]

labs = functools.cache(lambda stage: Lab(ROOT / "solutions" / stage / "lab.ipynb"))


@pytest.fixture(params=[path.parent.name for path in sorted(ROOT.glob("solutions/*/lab.ipynb"))])
def stage(request):
    return request.param


@pytest.fixture
def lab(stage):
    return labs(stage)


# The notebook ---------------------------------------------------------------------------------------------------------


def test_every_function_has_its_task(lab, stage):
    assert sorted(lab.tasks) == sorted(FUNCTIONS[stage].split())


def test_signatures(lab, stage):
    for line in SIGNATURES[stage].strip().splitlines():
        path, _, rest = line.strip().partition("(")
        function, _, method = path.partition(".")
        wanted = ast.parse(f"def {method or function}({rest}: ...").body[0]
        given = _definition(lab.tasks[function].answer.source, function)
        if method:
            given = next(node for node in given.body if getattr(node, "name", None) == method)
        hints = [one.annotation for one in _arguments(given)] + [given.returns]
        for one, hint in zip([*_arguments(wanted), wanted], hints, strict=True):
            expected = one.returns if one is wanted else one.annotation
            assert expected is None or (hint and ast.unparse(hint)) == ast.unparse(expected), line
        for definition in (wanted, given):
            for one in _arguments(definition):
                one.annotation = None
        assert ast.unparse(given.args) == ast.unparse(wanted.args), line


def _arguments(definition):
    every = definition.args
    more = [one for one in (every.vararg, every.kwarg) if one]
    return [*every.posonlyargs, *every.args, *every.kwonlyargs, *more]


def test_points(lab):
    points = {cell.id: cell.metadata.nbgrader.points for cell in lab.graded if cell.metadata.nbgrader.grade}
    written = [cell for cell in lab.graded if cell.metadata.nbgrader.grade and cell.metadata.nbgrader.solution]
    assert sum(points.values()) == 100
    assert set(points) == {task.tests.id for task in lab.tasks.values()} | {cell.id for cell in written}
    (cell,) = written
    assert 0 < points[cell.id] <= 15
    assert cell.cell_type == "markdown"
    prose = "\n".join(cell.source for cell in lab.notebook.cells if cell.cell_type == "markdown")
    for task in lab.tasks.values():
        assert re.search(rf"## .*{task.function}.*\b{points[task.tests.id]} points", prose), task.function


def test_first_code_cell_is_that_of_the_lectures(lab, stage):
    lecture = nbformat.read(ROOT / "stages" / stage / "lecture.ipynb", as_version=4)
    assert lab.code[0].source == next(cell.source for cell in lecture.cells if cell.cell_type == "code")


def test_answer_cells(lab):
    """One solution region each, which is the body of the function: a stub is left when it is cleared."""
    for task in lab.tasks.values():
        for marker in ("### BEGIN SOLUTION", "### END SOLUTION"):
            assert task.answer.source.count(marker) == 1, task.function
        stub = untouched(task.answer.source)
        assert ast.get_docstring(_definition(stub, task.function)), task.function
        assert stub.rstrip().endswith("raise NotImplementedError"), task.function
        assert answered(task.answer.source) == task.function


def _definition(source, name):
    return next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)


def test_visible_and_hidden_tests(lab):
    for task in lab.tasks.values():
        source = task.tests.source
        assert len(HIDDEN.findall(source)) == 1, task.function
        assert "assert" in HIDDEN.search(source)[0], task.function
        assert len(re.findall(r"\bexpect(?:_error)?\(", HIDDEN.sub("", source))) >= 3, task.function
        # nbgrader takes the value of a bare last expression for partial credit.
        last = ast.parse(source).body[-1]
        assert not isinstance(last, ast.Expr), task.function


def test_tasks_are_independent(lab):
    """This is what lets the tests below run an answer with its own test cell only."""
    assert lab.dependence_faults == []


@pytest.mark.slow
@pytest.mark.thorough
def test_no_score_depends_on_a_story(lab, stage):
    """Grading leaves these cells out, and so does `Lab.run_answers`: a mixture of answers ends the same with and without them."""
    answers, states = lab.mixture({one["function"]: one["code"] for one in listed(stage) if one["loses"]})
    lost = {function for function, state in states.items() if state != RIGHT}
    ran = lab.run(answers)
    assert lab.lost(ran) == lab.lost(lab.run(answers, stories=False)) == lost
    assert lab.outcome_faults(states, *ran) == []


# Answers, one by one --------------------------------------------------------------------------------------------------


@functools.cache
def listed(stage):
    """Return the answers in mutants/: wrong ones that students give, and right ones written another way."""
    return yaml.safe_load((Path(__file__).parent / "mutants" / f"{stage}.yaml").read_text(encoding="utf-8"))


def noisy(function, source):
    """Return the reference, which now warns, logs and writes to stderr whenever it is called."""

    def make_noisy(call):
        import functools
        import logging
        import sys
        import warnings

        @functools.wraps(call)
        def wrapper(*args, **kwargs):
            warnings.warn("this takes long", stacklevel=2)
            logging.getLogger("student").warning("half done")
            print("50 %", file=sys.stderr)
            return call(*args, **kwargs)

        return wrapper

    if isinstance(_definition(source, function), ast.ClassDef):
        made = f"{function}.__init__ = make_noisy({function}.__init__)"
    else:
        made = f"{function} = make_noisy({function})"
    return "\n".join([source, inspect.cleandoc("\n" + inspect.getsource(make_noisy)), made])


@functools.cache
def tried(stage):
    """Run all answers to a lab's tasks at once, and return (kind, function, name, outcome) of each."""
    lab = labs(stage)
    answers = [("listed", one["function"], one["name"], one["code"]) for one in listed(stage)]
    for task in lab.tasks.values():
        answers.append(("untouched", task.function, "untouched", untouched(task.answer.source)))
        answers.append(("noisy", task.function, "noisy", noisy(task.function, task.answer.source)))
        answers += [("made", task.function, one.name, one.code) for one in mutants(task.function, task.answer.source)]
    results = lab.run_answers([(function, code) for _, function, _, code in answers], start=KEY_IN_REACH)
    return [(*answer[:3], result) for answer, result in zip(answers, results, strict=True)]


class TestAnswers:
    pytestmark = runs_labs

    def test_enough_are_listed(self, stage):
        names = [one["name"] for one in listed(stage)]
        assert len(names) == len(set(names))
        for function in FUNCTIONS[stage].split():
            mine = [one["loses"] for one in listed(stage) if one["function"] == function]
            assert mine.count([function]) >= WRONG_ANSWERS, function
            assert mine.count([]) >= RIGHT_ANSWERS, function
            assert mine.count([function]) + mine.count([]) == len(mine), function

    def test_untouched_tasks_are_lost(self, stage, lab):
        results = {function: result for kind, function, _, result in tried(stage) if kind == "untouched"}
        assert set(results) == set(lab.tasks)
        for function, result in results.items():
            assert result.error.startswith("NotImplementedError: "), function
            assert NOT_ATTEMPTED in result.error, function

    def test_wrong_answers_lose_their_task(self, stage):
        wrong = {one["name"] for one in listed(stage) if one["loses"]}
        results = {name: result for kind, _, name, result in tried(stage) if kind == "listed" and name in wrong}
        assert [name for name, result in results.items() if not result.is_lost] == []
        # Where a visible check fails, the student reads what is wrong. Hidden tests speak to the grader.
        said = {name: result.error.partition(f": {WRONG}. ")[1:] for name, result in results.items()}
        spoken = ("Hint: ", "Your code raised ")
        assert [
            name for name, (is_visible, why) in said.items() if is_visible and not any(map(why.count, spoken))
        ] == []
        assert [name for name, result in results.items() if not result.error] == []

    def test_right_answers_keep_their_points(self, stage):
        right = {one["name"] for one in listed(stage) if not one["loses"]}
        lost = [
            (name, result)
            for kind, _, name, result in tried(stage)
            if kind == "listed" and name in right and result.is_lost
        ]
        assert lost == []

    def test_noise_costs_nothing(self, stage):
        lost = [(function, result) for kind, function, _, result in tried(stage) if kind == "noisy" and result.is_lost]
        assert lost == []

    def test_small_mistakes_lose_their_task(self, stage):
        """Mutants of the reference: those that live are listed in survivors.yaml, each with the reason."""
        made = [(function, name, result.is_lost) for kind, function, name, result in tried(stage) if kind == "made"]
        alive = {(function, name) for function, name, is_lost in made if not is_lost}
        same = {(function, name) for function, some in equivalent(stage).items() for name in some}
        assert sorted(alive - same) == [], "write a hidden test for each, or say in survivors.yaml why none can be"
        assert sorted(same - alive) == [], "no longer survive: take them out of survivors.yaml"


@pytest.mark.slow
@pytest.mark.thorough
def test_nbgrader_agrees(tmp_path, root, monkeypatch):
    """In one notebook, nbgrader's own autograder gives each task what its answer deserves, as the runs above predict.

    `tests/instructor/test_real_course.py` shows the same of our ways of grading, for every lab.
    """
    import sys

    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    stage, student = "stage1_corpus", "student"
    lab = labs(stage)
    source = tmp_path / "source" / stage / "lab.ipynb"
    source.parent.mkdir(parents=True)
    source.write_bytes((root / "solutions" / stage / "lab.ipynb").read_bytes())
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    config.Execute.timeout = 300
    api = NbGraderAPI(config=config)
    assert api.generate_assignment(stage)["success"]
    answers, states = lab.mixture({one["function"]: one["code"] for one in listed(stage) if one["loses"]})
    notebook = nbformat.read(tmp_path / "release" / stage / "lab.ipynb", as_version=4)
    for task in lab.tasks.values():
        if states[task.function] != NOT_ATTEMPTED:
            cell = next(cell for cell in notebook.cells if cell.id == task.answer.id)
            cell.source = answers[task.function]
    handed_in = tmp_path / "submitted" / student / stage / "lab.ipynb"
    handed_in.parent.mkdir(parents=True)
    nbformat.write(notebook, handed_in)
    result = api.autograde(stage, student)
    assert result["success"], result
    with Gradebook(config.CourseDirectory.db_url) as gradebook:
        grades = gradebook.find_submission_notebook("lab", stage, student).grades
        scores = {grade.name: grade.auto_score for grade in grades if grade.auto_score is not None}
    for function, state in states.items():
        tests = lab.tasks[function].tests
        assert scores[tests.id] == (tests.metadata.nbgrader.points if state == RIGHT else 0), function
