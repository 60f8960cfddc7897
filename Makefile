# The verbs, for people who like make; each is a script that needs nothing but python3.11+ with venv and pip.
.PHONY: setup check fix test test-slow test-client demo sandbox lock openapi
setup:       ; scripts/bootstrap dev
check:       ; scripts/check
fix:         ; scripts/check --fix
test:        ; scripts/test
test-slow:   ; scripts/test --slow
test-client: ; scripts/test --client
demo:        ; scripts/demo
sandbox:     ; scripts/bootstrap run && .venv/bin/tidegate-registry sandbox
lock:        ; scripts/lock
openapi:     ; .venv/bin/python scripts/openapi.py
