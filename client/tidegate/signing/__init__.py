"""Keyless signing: an identity token becomes a short-lived certificate, a statement becomes a Sigstore bundle."""
