"""What changed between two bundles, component by component, and the version step that it demands. Pure."""
