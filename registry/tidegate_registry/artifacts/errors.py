"""What OCI requests go wrong with, beyond what client and registry share in `tidegate.errors`."""

from __future__ import annotations

from tidegate.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    ManifestInvalid,
    NotFound,
    ReferenceInvalid,
    Refusal,
    TidegateError,
)


class NameNotAnAgent(ReferenceInvalid):
    """A fine OCI repository name, but an agent has exactly two segments."""

    code = "name-not-an-agent"


class QueryInvalid(InvalidInput):
    """A parameter or header that does not say what it must."""

    code = "query-invalid"


class RepositoryUnknown(NotFound):
    """There is no such repository, or nothing in it that the caller may see."""

    code = "repository-unknown"


class ManifestUnknown(NotFound):
    """There is no such manifest, or none that the caller may see."""

    code = "manifest-unknown"


class BlobUnknown(NotFound):
    """There is no such blob, or none that the caller may see."""

    code = "blob-unknown"


class RangeNotSatisfiable(NotFound):
    """A range begins after the last byte of what it asks of. `headers`: its length, for the 416 answer."""

    code = "range-not-satisfiable"

    def __init__(self, size: int, *, found: object) -> None:
        super().__init__("there are no such bytes", found=found, expected=f"a range within {size} bytes")
        self.headers = {"Content-Range": f"bytes */{size}"}


class DirectUploadsOff(NotFound):
    """Clients of this registry cannot reach its store: they send blobs to the registry itself."""

    code = "direct-uploads-off"


class UploadUnknown(NotFound):
    """There is no such upload of this caller; it may have ended or expired."""

    code = "upload-unknown"


class ManifestBlobUnknown(ManifestInvalid):
    """A manifest names a blob or manifest that is not here."""

    code = "manifest-blob-unknown"


class UploadInvalid(InvalidInput):
    """An upload request that cannot be followed."""

    code = "upload-invalid"


class SizeDiffers(InvalidInput):
    """The bytes are not as many as was announced."""

    code = "size-differs"


class UploadBusy(Conflict):
    """Another request is writing to this upload."""

    code = "upload-busy"


class ChunkOutOfOrder(InvalidInput):
    """A chunk does not start where the last one ended. `headers`: where the upload stands, for the 416 answer."""

    code = "chunk-out-of-order"

    def __init__(self, message: str, *, found: object, expected: object, headers: dict[str, str]) -> None:
        super().__init__(message, found=found, expected=expected, hint="continue at the byte after Range")
        self.headers = headers


class BodyTooLarge(LimitExceeded):
    """More bytes than the body of such a request may have."""

    code = "body-too-large"


class ManifestTooLarge(LimitExceeded):
    """More bytes than a manifest may have."""

    code = "manifest-too-large"


class TooManyReferrers(LimitExceeded):
    """A subject has as many referrers as it may have."""

    code = "too-many-referrers"


class ReferrerTooLarge(LimitExceeded):
    """A referrer's annotations are more than a referrers list repeats."""

    code = "referrer-too-large"


class TooMuchEvidence(LimitExceeded):
    """A subject has as many bytes of Sigstore bundles as a host reads."""

    code = "too-much-evidence"


class TooManyUploads(LimitExceeded):
    """A caller has as many unfinished uploads as they may have."""

    code = "too-many-uploads"


class TooMuchStaged(LimitExceeded):
    """A caller's unfinished uploads have as many bytes together as they may have."""

    code = "too-much-staged"


class RequestTimeout(TidegateError):
    """The request's body did not arrive in time."""

    code = "request-timeout"


class VersionTaken(Conflict):
    """The version names another manifest, for ever."""

    code = "version-taken"


class TooManyPending(LimitExceeded):
    """As many version tags wait for their signatures as may."""

    code = "too-many-pending"


class PendingTagGone(Conflict):
    """The version tag does not wait any more: it expired, or its publisher moved it."""

    code = "pending-tag-gone"


class VersionMisspelt(Refusal):
    """A tag looks like a version but is none; the hint has the right spelling."""

    code = "version-misspelt"


class ChannelNotMovable(Refusal):
    """A channel is moved by a promotion, never by pushing a tag."""

    code = "channel-not-movable"


class ReleaseRevoked(Refusal):
    """The release was withdrawn: it is not served under its version any more."""

    code = "release-revoked"


class DeletesRefused(TidegateError):
    """Nothing is deleted through this API."""

    code = "deletes-refused"
