"""Promotion: requests that collect what they lack, channels that move when a policy says yes, and every decision."""
