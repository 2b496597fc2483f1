"""The Hub, and what it says when it refuses. `resumen publish FOLDER --to owner/name --push` uploads a checkpoint folder; so does

upload = publish("final", "ana/mt5-review-titles", background=True)
print(upload.result())                                              # waits, and raises what went wrong

Which Hub that is, the variable `HF_ENDPOINT` says; by default it is https://huggingface.co.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects, validate_repo_id

from resumen.errors import CourseError, first_sentence
from resumen.files import METRICS, MODEL_CARD, NEEDED, read_text

CARD = "README.md"
"""What the Hub shows as the model card."""

PUBLISHED = (
    CARD,
    METRICS,
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model"),
)
"""The files that go out. All else stays at home: optimizer states, checkpoints, logs, and `training_args.bin`, a pickle with the paths of your machine."""

LOGIN = "run `hf auth login` with a token of the kind write, or put one into HF_TOKEN"


def files_to_publish(folder: str | Path) -> list[Path]:
    """Return the files of a checkpoint folder that go out, sorted.

    Raises:
        CourseError: if it is no checkpoint, has no model card, or one whose head does not name `license` and `base_model`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}: name one that save_pretrained or save_model wrote.")
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise CourseError(
            f"{folder} is not a checkpoint: it lacks {', '.join(missing)}; save model and tokenizer there."
        )
    if not (folder / CARD).is_file():
        remedy = (
            f"copy {MODEL_CARD} there"
            if (folder / MODEL_CARD).is_file()
            else "write one with resumen.modeling.model_card"
        )
        raise CourseError(f"{folder} has no model card, which the Hub expects as {CARD}: {remedy}.")
    try:
        data = ModelCard(read_text(folder / CARD)).data.to_dict()
    except CourseError:
        raise
    except Exception as error:  # yaml and huggingface_hub each have errors of their own
        raise CourseError(
            f"{folder / CARD}: its head is not YAML ({first_sentence(str(error))}): correct it."
        ) from None
    for name in ("license", "base_model"):
        if not data.get(name):
            raise CourseError(
                f"{folder / CARD}: its head, the YAML between two lines `---`, does not say `{name}`: add it."
            )
    names = [path.name for path in folder.iterdir() if path.is_file()]
    return [folder / name for name in sorted(filter_repo_objects(names, allow_patterns=list(PUBLISHED)))]


def repository_name(to: str) -> str:
    """Return the repository that is meant: `owner/name`, or yours for a bare name.

    It asks the Hub who you are, and so finds a token that is missing, wrong or only for reading before anything is sent.

    Raises:
        CourseError: if that is not a name, or the token will not do.
    """
    try:
        validate_repo_id(to)
    except HFValidationError:
        raise CourseError(f"{to} is not the name of a repository: give one such as ana/mt5-review-titles.") from None
    try:
        me = HfApi().whoami()
    except Exception as error:
        raise CourseError(_sentence(error, to, has_begun=False)) from None
    if me.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise CourseError(f"Your token is only for reading, so {to} cannot be written: {LOGIN}.")
    return to if "/" in to else f"{me['name']}/{to}"


def publish(folder: str | Path, to: str, *, public: bool = False, background: bool = False) -> str | Future:
    """Upload the files of a checkpoint folder to the repository `to`, made if need be; return the address of the commit.

    What is wrong with folder, name or token is said before anything is sent. Interrupted, the same call goes on: a file that has arrived
    is not sent again.

    Args:
        folder: see `files_to_publish`.
        to: `owner/name`, or a bare name of yours.
        public: whether everybody may see a repository that is made now. One that exists stays as it is.
        background: return a future at once, and upload in a thread. Its `result()` is the address, or raises.

    Raises:
        CourseError: if something is wrong, or the connection broke.
    """
    files, name = files_to_publish(folder), repository_name(to)
    send = (_upload, Path(folder), [path.name for path in files], name, public)
    return HfApi().run_as_future(*send) if background else send[0](*send[1:])


def _upload(folder: Path, names: list[str], to: str, public: bool) -> str:
    api = HfApi()
    try:
        api.create_repo(to, private=not public, exist_ok=True)
        return api.upload_folder(repo_id=to, folder_path=folder, allow_patterns=names).commit_url
    except Exception as error:  # huggingface_hub, its HTTP library and the thread pool each have errors of their own
        raise CourseError(_sentence(error, to)) from None


def refusal(error: Exception, name: str) -> str | None:
    """Say in one sentence why the Hub did not give the repository `name` to a library; None if the error tells of something else."""
    causes = list(_chain(error))
    if _status(causes) == 401 and not any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return f"{constants.ENDPOINT} does not know your token, so {name} cannot be loaded: make another, and run `hf auth login` or put it into HF_TOKEN."
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return f"{name} is given after a consent only: open {constants.ENDPOINT}/{name} in a browser, agree, and run `hf auth login`."
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return f"{constants.ENDPOINT} has no {name} that your token may read: check the name, or run `hf auth login` if it is private."
    return None


def _sentence(error: Exception, to: str, has_begun: bool = True) -> str:
    """Say in one sentence why `to` was not written, and what to do."""
    causes = list(_chain(error))
    if any(isinstance(cause, LocalTokenNotFoundError) for cause in causes):
        return f"There is no token for {constants.ENDPOINT}: {LOGIN}."
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return "HF_HUB_OFFLINE is set, as the profile tiny does, so nothing is asked of the Hub: use the profile full or unset it."
    status = _status(causes)
    if status == 401:
        return f"{constants.ENDPOINT} does not know your token: {LOGIN}, which goes before a login."
    if status == 403:
        return f"Your token may not write to {to}: name a repository of yours, or {LOGIN}."
    if status == 400 or (status is None and isinstance(error, ValueError)):
        return f"The Hub refuses {to} ({first_sentence(str(error))}): correct that, and run the same again."
    reason = f"the Hub answers {status}" if status else first_sentence(str(causes[-1])) or type(causes[-1]).__name__
    if not has_begun:
        return f"{constants.ENDPOINT} cannot be asked ({reason}): check the network and HF_ENDPOINT, and run the same again."
    return f"The upload to {to} was interrupted ({reason}): run the same again, and a file that has arrived is not sent twice."


def _status(causes: Sequence[BaseException]) -> int | None:
    """Return the status of the Hub's answer, the one that was first; None if it gave none."""
    answers = [cause.response for cause in causes if isinstance(cause, HfHubHTTPError)]
    return answers[-1].status_code if answers else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or (error.__context__ if not error.__suppress_context__ else None)
