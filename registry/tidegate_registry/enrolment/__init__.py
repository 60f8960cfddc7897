"""Enrolment: tokens that somebody may use once, to bring a machine in that has no identity yet."""
