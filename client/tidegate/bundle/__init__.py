"""Bundles: agent.yaml to an OCI image layout, checked, inspected, and back to files."""
