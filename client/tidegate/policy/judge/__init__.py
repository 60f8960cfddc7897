"""The judges: one module for each thing that a promotion is judged by. All pure; `decide` calls them in order."""
