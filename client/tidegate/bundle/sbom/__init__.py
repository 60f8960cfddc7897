"""A software bill of materials of a bundle. Source: docs/spec/sbom.md."""
