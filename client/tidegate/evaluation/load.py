"""An evaluation from files on disk."""

from __future__ import annotations

from pathlib import Path

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, InvalidInput
from tidegate.evaluation.readers import MAX_RESULTS_BYTES, choose_reader
from tidegate.evaluation.results import Measured, evaluate
from tidegate.formats.predicates.evaluation import EvaluationPredicate, Judge


def load_evaluation(path: Path, about: Measured, reader: str | None = None) -> EvaluationPredicate:
    """Read the results at `path`, at most MAX_RESULTS_BYTES, with the reader of that name or the one that fits.

    Raises InvalidInput, StatementInvalid.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RESULTS_BYTES + 1)
    except OSError as error:
        raise InvalidInput("the results cannot be read", found=f"{path}: {error.strerror}") from error
    if len(raw) > MAX_RESULTS_BYTES:
        raise InvalidInput(
            "the results are too large", code="results-invalid", expected=f"at most {MAX_RESULTS_BYTES} bytes"
        )
    chosen = choose_reader(raw, reader)
    return evaluate(list(chosen.read_runs(raw)), about, chosen.read_times(raw))


def load_digest(what: str) -> Digest:
    """Give `what` if it is a digest, else the digest of the file of that name. Raises InvalidInput, DigestInvalid."""
    if what.startswith("sha256:"):
        return Digest.parse(what)
    path = Path(what).expanduser()
    if not path.is_file():
        raise DigestInvalid("that is neither a digest nor a file", found=what[:160], expected="sha256:… or a file")
    try:
        return Digest.of_file(path)
    except OSError as error:
        raise InvalidInput("the file cannot be read", found=f"{path}: {error.strerror}") from error


def parse_judge(text: str) -> Judge:
    """Read `PROVIDER/MODEL`, with `@PIN` where the model's id does not pin it. Raises InvalidInput."""
    named, _, pin = text.partition("@")
    provider, slash, model = named.partition("/")
    if not provider or not slash or not model or ("@" in text and not pin):
        raise InvalidInput(
            "that is no judge",
            found=text[:160],
            expected="PROVIDER/MODEL or PROVIDER/MODEL@PIN",
        )
    return Judge(provider, model, pin or None)
