"""Cases of a policy: situations in which its author says what should come out. Spec page: docs/spec/policy-cases.md."""
