"""Policies in force and how they change: numbered versions that are never edited, proposals, what a change would do."""
