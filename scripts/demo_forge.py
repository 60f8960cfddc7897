#!/usr/bin/env python3
"""What the demo's attacker does that no command of Tidegate does.

demo_forge.py push LAYOUT AGENT TAG           push a bundle, what is attached to it and a tag, as any OCI client can
demo_forge.py store SANDBOX NAMESPACE DIGEST  flip one bit of a blob in the object store (again: flip it back)
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from tidegate.cli.output import Output
from tidegate.digest import Digest
from tidegate.errors import TidegateError


def push(layout: str, agent: str, tag: str) -> None:
    """Push with whatever credential the environment holds; nothing is looked at before."""
    from tidegate.bundle.layout import Layout
    from tidegate.credentials.connect import open_registry
    from tidegate.credentials.sources import Credentials
    from tidegate.remote.address import RegistryAddress

    address = RegistryAddress.parse(os.environ["TIDEGATE_REGISTRY"])
    with open_registry(address, Credentials(os.environ, clock=lambda: datetime.now(UTC))) as registry:
        source = Layout.open(Path(layout))
        bundle = source.root()
        for manifest in (bundle, *source.referrers(bundle.digest)):
            registry.push_blobs(agent, manifest.blobs, source.open_blob)
            registry.push_manifest(agent, manifest)
        registry.push_manifest(agent, bundle, version=tag)


def flip_bit(sandbox: str, namespace: str, digest: str) -> None:
    """Overwrite an object with the store's own keys, past the registry."""
    import boto3
    from botocore.config import Config

    from tidegate_registry.sandbox.folder import SandboxFolder
    from tidegate_registry.sandbox.s3 import Weed
    from tidegate_registry.storage.blobs import BlobKey

    folder = SandboxFolder(Path(sandbox))
    ports = folder.load_ports()
    endpoint = Weed(folder.s3, ports.s3 if ports else None).endpoint
    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    key = BlobKey(namespace, Digest.parse(digest)).path
    content = bytearray(client.get_object(Bucket=endpoint.bucket, Key=key)["Body"].read())
    content[-1025] ^= 1  # within the last file's padding or text, whatever is there
    client.put_object(Bucket=endpoint.bucket, Key=key, Body=bytes(content))
    print(f"changed one bit of s3://{endpoint.bucket}/{key}")


def main(argv: list[str]) -> int:
    """Run one of the two."""
    try:
        {"push": push, "store": flip_bit}[argv[0]](*argv[1:])
    except TidegateError as error:
        Output().error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
