"""The transparency log as bytes and arithmetic: hashes, tiles, notes, checkpoints, cosignatures, proofs; no I/O.

docs/spec/log.md has the wire formats and the numbered steps L1 to L23, which the modules name where they take them.

    steps        what a numbered step is                        text          canonical numbers and base64
    merkle       hashes and proofs (RFC 6962, RFC 9162)         memory        a small tree as a whole
    tiles        paths, hash tiles, entry bundles               edge          the right edge of a tree, which grows
    reader       proofs and entries out of files                whole         a whole log out of its files
    checkpoint   the text that is signed                        note          signed notes and their keys
    cosignature  what witnesses sign                            cosigner      signing it
    policy       which logs and witnesses are enough            opened        a checkpoint verified against a policy
    proof        an offline proof of one entry                  witness       what a log and a witness say to each other
"""
