"""What a host does with releases: find, verify, fetch. Nothing is trusted but the host's own trust file."""
