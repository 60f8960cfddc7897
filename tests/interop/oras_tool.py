"""What users write with the `oras` package; runs in that package's environment, not in ours.

oras_tool.py push REFERENCE FILE:MEDIATYPE… [--config FILE:MEDIATYPE] [--subject MEDIATYPE,DIGEST,SIZE]
oras_tool.py pull REFERENCE FOLDER
oras_tool.py tags REFERENCE

The registry is on this machine; REGISTRY_TOKEN holds a registry token for pulling and pushing. `oras` would fetch one
itself, for pulling, since its first request is a HEAD, and would not fetch another when it goes on to push.
"""

from __future__ import annotations

import argparse
import os

import oras.client
import oras.oci


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["push", "pull", "tags"])
    parser.add_argument("reference")
    parser.add_argument("--config")
    parser.add_argument("--subject")
    parser.add_argument("rest", nargs="*")
    args = parser.parse_args()

    client = oras.client.OrasClient(hostname=args.reference.partition("/")[0], insecure=True)
    client.auth.set_token_auth(os.environ["REGISTRY_TOKEN"])
    if args.verb == "push":
        subject = None
        if args.subject:
            media_type, digest, size = args.subject.split(",")
            subject = oras.oci.Subject(media_type, digest, int(size))
        answer = client.push(args.reference, files=args.rest, manifest_config=args.config, subject=subject)
        print(answer.headers["Docker-Content-Digest"], len(answer.request.body))
    elif args.verb == "pull":
        print("\n".join(client.pull(args.reference, outdir=args.rest[0])))
    else:
        print("\n".join(client.get_tags(args.reference)))


if __name__ == "__main__":
    main()
