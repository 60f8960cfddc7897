"""Who is calling and what they may do: OIDC credentials in, registry tokens out, rights from the charter."""
