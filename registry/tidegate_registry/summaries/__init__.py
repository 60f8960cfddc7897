"""The summaries room: what each decision allowed, signed for tools that know nothing of Tidegate. docs/spec/vsa.md."""
