"""Who the caller is: identity tokens from CI, from a login, or as given, each for one audience and never another."""
