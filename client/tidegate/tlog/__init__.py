"""The transparency log as bytes and arithmetic: hashes, tiles, notes, checkpoints, cosignatures, proofs; no I/O.

The modules name the numbered steps L1 and on where they take them.

    steps        what a numbered step is                        text          canonical numbers and base64
    merkle       hashes and proofs (RFC 6962, RFC 9162)         memory        a small tree as a whole
    tiles        paths, hash tiles, entry bundles               edge          the right edge of a tree, which grows
    checkpoint   the text that is signed                        note          signed notes and their keys
    cosignature  what witnesses sign
"""
