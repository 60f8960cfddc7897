"""Admission: may this manifest carry this version. Naming is admitting."""
