"""What `resumen quiz check` says to an instructor who edits a YAML file: one sentence per fault, with its line.

Keys that can be computed are computed: this runs the Python in the file's `code` and `check`. Check only files that you trust.
"""

import contextlib
import io
import json
import math
import re
import reprlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from resumen.errors import CourseError, first_sentence
from resumen.quiz import LANGUAGES, Question, Quiz, load_quiz
from resumen.quiz.answers import near
from resumen.setup import LESSONS, PRIMER, objective_prefix, objectives_path

SCHEMA = json.loads(files("resumen.quiz").joinpath("schema.json").read_text(encoding="utf-8"))
FEWEST_QUESTIONS = 12
FEWEST_GRADED = 3
FEWEST_PER_OBJECTIVE = 2
MOST_CODE_LINES = 12

Fault = tuple[tuple, str]
"""Where in the data, such as `("questions", 3, "prompt")`, and the sentence."""


def faults(path: str | Path) -> list[str]:
    """Return what is wrong with a quiz, in the order of its lines: `FILE:LINE: sentence`; nothing if it can be used.

    The stage's objectives are read from `stages/<stage>/README.md` beside the file's folder. A file without the right form
    is not checked further. This runs the Python in the file.
    """
    path = Path(path)
    found, tree = _form(path)
    if not found:
        quiz = load_quiz(path)
        found = [(_line(tree, where), sentence) for where, sentence in _content_faults(quiz, path)]
    return _sentences(path, found)


def form_faults(path: str | Path) -> list[str]:
    """Return what keeps a file from being a quiz at all, as `faults` does. It runs nothing."""
    path = Path(path)
    return _sentences(path, _form(path)[0])


def _sentences(path: Path, found: list[tuple[int | None, str]]) -> list[str]:
    found = sorted(found, key=lambda fault: fault[0] or 0)
    return [f"{path}: {sentence}" if line is None else f"{path}:{line + 1}: {sentence}" for line, sentence in found]


def _form(path: Path) -> tuple[list[tuple[int | None, str]], yaml.Node | None]:
    """Return the faults in the form of a file, as (line from 0, sentence), and the nodes of its YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is None:
            return [(0, "the file is empty.")], None
        try:
            _measure(tree, (), {})
        except _Endless as fault:
            return [(fault.line, f"{fault}: write out what belongs there.")], None
        data = yaml.safe_load(text)
    except OSError as error:
        return [(None, f"cannot be read: {error.strerror}.")], None
    except UnicodeDecodeError as error:
        return [(error.object.count(b"\n", 0, error.start), "this is not UTF-8: save the file in that encoding.")], None
    except yaml.MarkedYAMLError as error:
        said = "; ".join(part for part in (error.context, error.problem) if part)
        return [((error.problem_mark or error.context_mark).line, f"this is not YAML: {said}.")], None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        return [(line, f"this is not YAML: the character {error.character:#x} is not allowed.")], None
    except (ValueError, RecursionError) as error:  # 2021-13-45, a number of 5,000 digits, brackets without end
        return [(0, f"this is not YAML that can be read: {first_sentence(str(error))}.")], None
    found = [(mark.line, f"`{key}` is given twice: the second one would win.") for key, mark in _repeated_keys(tree)]
    found += [(_line(tree, where), sentence) for where, sentence in _form_faults(data)]
    found += [(_line(tree, where), sentence) for where, sentence in _endless_numbers(data, ())]
    return found, tree


MOST_VALUES, MOST_DEEP = 100_000, 50
"""More than any quiz holds, and less than it takes long to look at."""


class _Endless(Exception):
    """Values that would never come to an end, or not soon."""

    def __init__(self, node: yaml.Node, words: str):
        super().__init__(words)
        self.line = node.start_mark.line


def _measure(node: yaml.Node, above: tuple[yaml.Node, ...], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node holds, and how deep, when each alias (*) is written out.

    Raises:
        _Endless: if a node lies in itself or so deep that nobody wrote it, or if there are too many.
    """
    if any(node is one for one in above) or len(above) > MOST_DEEP:
        raise _Endless(node, "an anchor (&) holds itself (*)")
    if id(node) not in known:
        total, depth = 1, 0
        for entry in node.value if isinstance(node, yaml.CollectionNode) else ():
            for part in entry if isinstance(entry, tuple) else (entry,):
                its_total, its_depth = _measure(part, (*above, node), known)
                total, depth = total + its_total, max(depth, its_depth + 1)
        if total > MOST_VALUES or depth > MOST_DEEP:
            raise _Endless(node, f"its anchors (&) and aliases (*) stand for more than {MOST_VALUES:,} values")
        known[id(node)] = total, depth
    return known[id(node)]


def _endless_numbers(value: object, where: tuple) -> Iterator[Fault]:
    """Find numbers that no float holds: .inf, .nan, a 1 with 400 zeros."""
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _endless_numbers(part, (*where, key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            yield where, f"{reprlib.repr(value)} is no number to compare with: write one below 1e308."


def computed_key(question: Question) -> object:
    """Run `code` and then `check`; return what `check` binds to `result`.

    Raises:
        CourseError: if either fails, nothing is bound, or `code` prints something that is not the `output` shown.
    """
    namespace = {"__name__": "quiz"}
    _run(question.code, "code", namespace, question.output)
    _run(question.check, "check", namespace)
    if "result" not in namespace:
        raise CourseError("`check` does not bind `result`")
    return _plain(namespace["result"])


def key_fault(question: Question) -> str | None:
    """Return why the key of a question with `check` is wrong, as the end of a sentence; None if it is right."""
    try:
        result = computed_key(question)
    except CourseError as error:
        return str(error)
    if question.type == "numeric":
        key = question.answer
        agrees = isinstance(result, int | float) and near(result, key, question.tolerance)
    elif question.type == "single":
        key = next(choice.value for choice in question.choices if choice.right)
        agrees = _same(result, key)
    else:
        key = [choice.value for choice in question.choices if choice.right]
        agrees = isinstance(result, list) and sorted(map(_repr, result)) == sorted(map(_repr, key))
    return None if agrees else f"`check` computes {result!r}, but the key is {key!r}"


# The form of the file


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[str, yaml.Mark]]:
    """Yield the keys that a mapping has twice: YAML keeps the last one and says nothing."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated_keys(entry)


def _line(node: yaml.Node, where: tuple) -> int:
    """Return the line (from 0) of what a path leads to, or of the last part of it that exists."""
    line = node.start_mark.line
    for step in where:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == step), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line, entry[1]
        else:
            node = node.value[step]
            line = node.start_mark.line
    return line


def _form_faults(data: object) -> Iterator[Fault]:
    for error in Draft202012Validator(SCHEMA).iter_errors(data):
        where = tuple(error.absolute_path)
        name = _name(data, where)
        if error.validator == "additionalProperties":
            for key in sorted(set(map(str, error.instance)) - set(error.schema["properties"])):
                yield (*where, key), f"{name}`{key}` is not a field that a quiz has here."
        else:
            yield where, f"{name}{_in_words(error, where)}."


def _name(data: object, where: tuple) -> str:
    """Return the question and choice that a path lies in, such as `s3-lcs, choice 2: `; "" outside the questions."""
    if len(where) < 2 or where[0] != "questions":
        return ""
    entry = data["questions"][where[1]]
    given = entry.get("id") if isinstance(entry, dict) else None
    name = given if isinstance(given, str) and given.strip() else f"question {where[1] + 1}"
    if len(where) > 3:
        kind = {"choices": "choice", "mistakes": "mistake"}.get(where[2])
        if kind:
            name += f", {kind} {where[3] + 1}"
    return f"{name}: "


def _in_words(error, where: tuple) -> str:
    """Say to an instructor what a JSON Schema error means."""
    field, value, rule = where[-1] if where else "the file", error.instance, error.validator_value
    if field in LANGUAGES:
        if error.validator == "type" and value is not None:
            return f"`{where[-2]}` in {LANGUAGES[field]} is {value!r}, which is not text: put it in quotes"
        return f"`{where[-2]}` is blank in {LANGUAGES[field]}"
    field = f"entry {field + 1}" if isinstance(field, int) else f"`{field}`" if where else field
    if error.validator == "required":
        missing = next(name for name in rule if f"{name!r} is" in error.message)
        if missing in LANGUAGES:
            return f"{field} has no {LANGUAGES[missing]} text (`{missing}`)"
        return f"`{missing}` is missing"
    if error.validator == "not":
        return f"{field} has no place in a question of this type"
    if error.validator == "enum":
        return f"{field} is {value!r}, but it must be one of {', '.join(rule)}"
    if error.validator in ("minItems", "maxItems"):
        least, most = error.schema["minItems"], error.schema.get("maxItems")
        return f"{field} has {len(value)} entries, but {least} {f'to {most}' if most else 'or more'} are needed"
    if error.validator in ("minimum", "maximum"):
        least, most = error.schema["minimum"], error.schema.get("maximum")
        return f"{field} is {value!r}, but it must be {least} {f'to {most}' if most else 'or more'}"
    if error.validator == "pattern":
        example = {"`id`": "`s3-clipped-counts`", "`objective`": "`S3.1`"}.get(field)
        return f"{field} is {value!r}, but it must look like {example}" if example else f"{field} is blank"
    if error.validator == "type":
        if rule == "object" and "en" in error.schema["properties"]:
            return f"{field} must be a text in each language: `{{en: ..., es: ...}}`"
        kinds = {
            "object": "fields with values",
            "array": "a list",
            "string": "text",
            "boolean": "true or false",
            "integer": "a whole number",
            "number": "a number",
        }
        wanted = "a plain value or a list" if isinstance(rule, list) else kinds[rule]
        return f"{field} is {value!r}, but it must be {wanted}"
    return f"{field}: {error.message}"


# What the file says


def _content_faults(quiz: Quiz, path: Path) -> Iterator[Fault]:
    if quiz.stage not in LESSONS:
        yield ("stage",), f"there is no stage {quiz.stage!r}: choose one of {', '.join(LESSONS)}."
        return
    if path.stem != quiz.stage:
        yield ("stage",), f"the stage is {quiz.stage}, so the file must be called {quiz.stage}.yaml."
    prefix, root = objective_prefix(quiz.stage), path.resolve().parents[1]
    page = objectives_path(root, quiz.stage)
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    objectives = re.findall(rf"\*\*({re.escape(prefix)}\d+)\*\*", text)
    if not objectives:
        yield (
            ("stage",),
            f"no objectives are found in {page.relative_to(root).as_posix()}, so they cannot be compared.",
        )
    for index, question in enumerate(quiz.questions):
        for field, sentence in _question_faults(question, prefix.rstrip(".").lower(), objectives):
            yield ("questions", index, *field), f"{question.id}: {sentence}."
    yield from _repeats(quiz)
    yield from ((("questions",), f"{sentence}.") for sentence in _balance_faults(quiz, objectives))


def _question_faults(question: Question, prefix: str, objectives: list[str]) -> Iterator[Fault]:
    if not question.id.startswith(f"{prefix}-"):
        yield ("id",), f"in this stage an id begins with `{prefix}-`"
    if objectives and question.objective not in objectives:
        yield ("objective",), f"{question.objective} is not an objective in the stage's README"
    if question.code.rstrip().count("\n") >= MOST_CODE_LINES:
        yield ("code",), f"`code` has more than {MOST_CODE_LINES} lines"
    right = sum(choice.right for choice in question.choices)
    if question.type == "single" and right != 1:
        yield ("choices",), f"a single question has one right choice, this one has {right}"
        return
    if question.type == "multiple" and right in (0, len(question.choices)):
        yield ("choices",), "a multiple question has at least one right and one wrong choice"
        return
    field, values = "choices", [choice.value for choice in question.choices]
    if question.type == "numeric":
        field, values = "mistakes", [mistake.value for mistake in question.mistakes]
        for index, value in enumerate(values):
            if near(value, question.answer, question.tolerance):
                yield (
                    ("mistakes", index, "value"),
                    f"mistake {index + 1} would count as right: it is within the tolerance",
                )
    if question.type == "numeric" or question.check:
        for index, value in enumerate(values):
            if any(_same(value, earlier) for earlier in values[:index]):
                yield (field, index, "value"), f"{field[:-1]} {index + 1} has the value {value!r} of an earlier one"
    if question.check and (fault := key_fault(question)):
        yield ("check",), fault


def _repeats(quiz: Quiz) -> Iterator[Fault]:
    """Find ids and prompts that an earlier question has, white space and case aside."""
    seen: dict[tuple, str] = {}
    for index, question in enumerate(quiz.questions):
        if ("id", question.id) in seen:
            yield ("questions", index, "id"), f"{question.id}: an earlier question has this id."
        for language, text in question.prompt.items():
            key = (language, " ".join(text.split()).casefold())
            if key in seen:
                yield (
                    ("questions", index, "prompt", language),
                    f"{question.id}: {seen[key]} has the same {LANGUAGES[language]} prompt.",
                )
            seen.setdefault(key, question.id)
        seen["id", question.id] = question.id


def _balance_faults(quiz: Quiz, objectives: list[str]) -> Iterator[str]:
    """Find what only the quiz as a whole can lack, or give away."""
    if len(quiz.questions) < FEWEST_QUESTIONS:
        yield f"questions in all: {len(quiz.questions)}, but {FEWEST_QUESTIONS} are needed"
    graded = sum(question.pool == "graded" for question in quiz.questions)
    if quiz.stage == PRIMER and graded:
        yield f"questions with `pool: graded`: {graded}, but the primer has a self-check only"
    if quiz.stage != PRIMER and graded < FEWEST_GRADED:
        yield f"questions with `pool: graded`: {graded}, but {FEWEST_GRADED} are needed"
    asked = Counter(question.objective for question in quiz.questions)
    for objective in objectives:
        if asked[objective] < FEWEST_PER_OBJECTIVE:
            yield f"questions on {objective}: {asked[objective]}, but {FEWEST_PER_OBJECTIVE} are needed"
    places: Counter = Counter()
    longest: dict[str, int] = defaultdict(int)
    singles = [question for question in quiz.questions if question.type == "single"]
    for question in singles:
        keys = [choice for choice in question.choices if choice.right]
        if len(keys) != 1:
            continue
        places[question.choices.index(keys[0]) + 1] += 1
        for language in LANGUAGES:
            others = [len(choice.text[language]) for choice in question.choices if not choice.right]
            longest[language] += len(keys[0].text[language]) > max(others)
    for place, count in places.items():
        if 2 * count > len(singles) > 1:
            yield f"choice {place} is right in {count} of {len(singles)} single questions: move some of them"
    for language, count in longest.items():
        if 2 * count >= len(singles) > 1:
            yield f"the right choice is the longest in {count} of {len(singles)} single questions in {LANGUAGES[language]}: shorten some of them"


# Values


def _plain(value: object) -> object:
    """Return a value as YAML would hold it: no arrays, tensors, tuples or sets."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (tuple, set, frozenset, list)):
        return [_plain(entry) for entry in value]
    return value


def _repr(value: object) -> str:
    """Return a key by which values are the same: 1 and 1.0 are, 1 and True are not."""
    return repr(float(value)) if isinstance(value, int) and not isinstance(value, bool) else repr(value)


def _same(one: object, other: object) -> bool:
    return _repr(one) == _repr(other)


def _run(source: str, name: str, namespace: dict, output: str = "") -> None:
    """Run a piece of a question's code. If it prints and an output is shown, the two must agree."""
    printed = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            exec(compile(source, f"<{name}>", "exec"), namespace)
    except (Exception, SystemExit) as error:
        said = str(error).strip().splitlines()
        raise CourseError(
            f"`{name}` fails{_code_line(error, name)}: {type(error).__name__}: {said[0] if said else 'no message'}"
        ) from None
    if output and printed.getvalue() and printed.getvalue().rstrip() != output.rstrip():
        raise CourseError(f"`{name}` does not print the `output` that is shown")


def _code_line(error: BaseException, name: str) -> str:
    """Return " in line N" for the last line of the question's own code that an error went through."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == f"<{name}>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
