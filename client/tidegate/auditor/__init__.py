"""The auditor's side of the audit log: what was done, by whom and why, without believing the registry.

Spec page: docs/spec/log.md. Guide: docs/guides/audit-the-log.md.
"""
