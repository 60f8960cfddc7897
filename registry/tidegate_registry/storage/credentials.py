"""Who the registry is to the object store: keys from its settings, or what the machine has, as the operator says.

Nothing is looked for that was not asked for: boto3 without keys would ask the metadata service of the machine it is on,
and there may be one, with rights that nobody meant, or none that answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from tidegate.errors import InvalidInput

if TYPE_CHECKING:
    from boto3.session import Session

    from tidegate_registry.settings import S3Settings

AMBIENT = "the environment, a profile, a container's or machine's role, each asked for about a second"


class StoreCredentialsMissing(InvalidInput):
    """There is nothing to sign requests to the object store with."""

    code = "store-credentials-missing"


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """An access key and its secret."""

    access: str
    secret: str = field(repr=False)


def store_keys(settings: S3Settings, session: Session) -> StoreKeys | None:
    """Give the keys of the settings; None with `credentials = "ambient"`, after a look that `session` finds some.

    Raises StoreCredentialsMissing. boto3 gives a metadata service one second for each of two questions, and asks once.
    """
    if settings.credentials == "ambient":
        _demand_ambient(session)
        return None
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    if settings.secret_key_file is not None:
        try:
            secret = settings.secret_key_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreCredentialsMissing(
                "the file of the object store's secret key cannot be read",
                found=f"{settings.secret_key_file}: {type(error).__name__}",
                hint="correct s3.secret_key_file, or let the registry read that file",
            ) from error
    if settings.access_key is None or not secret:
        raise StoreCredentialsMissing(
            "there are no credentials for the object store",
            found="an empty secret" if settings.access_key else "no s3.access_key, and s3.credentials is static",
            expected="s3.access_key with s3.secret_key_file, or s3.credentials = ambient",
            hint="where the machine has a role of its own, set TIDEGATE_REGISTRY_S3__CREDENTIALS=ambient",
        )
    return StoreKeys(settings.access_key.get_secret_value(), secret)


def _demand_ambient(session: Session) -> None:
    try:
        found = session.get_credentials()
    except BotoCoreError as error:
        raise _nothing_ambient(type(error).__name__) from error
    if found is None:
        raise _nothing_ambient("none")


def _nothing_ambient(found: str) -> StoreCredentialsMissing:
    return StoreCredentialsMissing(
        "this machine has no credentials for the object store",
        found=found,
        expected=AMBIENT,
        hint="give the machine a role, or set s3.access_key and s3.secret_key_file and s3.credentials = static",
    )
