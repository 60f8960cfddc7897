"""The OCI routes: HTTP in and out, no decisions. Reads are plain functions of (services, caller, path), so that a
faster dispatcher can call the same services ahead of the router.
"""
