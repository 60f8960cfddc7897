"""Reads a log's folder with aics-tlog: `aics_tool.py FOLDER LOG-KEY WITNESS-KEY`. Runs in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from aics_tlog import FileSystemTileReader, audit_tiles, parse_note, parse_vkey, verify_checkpoint


def main(folder: str, log_key: str, witness_key: str) -> None:
    """Verify the checkpoint with its one cosignature, then every tile and every entry below it."""
    note = parse_note((Path(folder) / "checkpoint").read_bytes())
    head = verify_checkpoint(note, parse_vkey(log_key), [parse_vkey(witness_key)], 1)
    if not head.ok:
        raise SystemExit(f"checkpoint: {head.error}")
    audit_tiles(FileSystemTileReader(folder), head.size, head.root)
    print(head.size, head.cosignature_count)


if __name__ == "__main__":
    main(*sys.argv[1:])
