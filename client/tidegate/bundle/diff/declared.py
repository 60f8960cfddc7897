"""What the config declares: models, capabilities, interfaces, state, runtime. Source: docs/spec/diff.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from tidegate.bundle.diff.model import Change, Part, Sign
from tidegate.bundle.diff.schema import compare_schemas
from tidegate.bundle.diff.step import Step
from tidegate.bundle.diff.tools import schema_change
from tidegate.formats.config import AgentConfig
from tidegate.formats.declarations import FileScope, Interface, McpServer, ModelPin, Runtime, State
from tidegate.formats.jcs import JsonValue

Item = TypeVar("Item")

MAX_PAIRS = 400  # models that went times models that came; more are told one by one


def compare_declared(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    """Give every change of what the two configs declare, but files."""
    yield from _models(before.models, after.models)
    yield from _capabilities(before, after)
    yield from _interfaces(before, after)
    yield from _state(before.state, after.state)
    yield from _runtime(before, after)
    yield from _requirements(before, after)
    yield from _allowed_secrets(before, after)


# models


def _models(before: Sequence[ModelPin], after: Sequence[ModelPin]) -> Iterator[Change]:
    one, two = _by_id(before), _by_id(after)
    for key in sorted(one.keys() & two.keys()):
        yield from _same_model(one[key], two[key])
    gone = [one[key] for key in sorted(one.keys() - two.keys())]
    come = [two[key] for key in sorted(two.keys() - one.keys())]
    for old, new in _moved(gone, come):
        message = f"→ {_pinned(new)}"
        yield Change(Part.MODELS, "model-moved", Sign.CHANGED, _pinned(old), Step.MINOR, message)
        if new.floats and not old.floats:
            yield _unpinned(new)
    for pin in gone:
        yield Change(Part.MODELS, "model-removed", Sign.REMOVED, pin.id, Step.MINOR, "removed")
    for pin in come:
        yield Change(Part.MODELS, "model-added", Sign.ADDED, _pinned(pin), Step.MINOR, "added")


def _by_id(pins: Sequence[ModelPin]) -> dict[tuple[str, str, int], ModelPin]:
    found: dict[tuple[str, str, int], ModelPin] = {}
    for pin in pins:
        number = 0
        while (key := (pin.id, pin.provider or "", number)) in found:
            number += 1
        found[key] = pin
    return found


def _same_model(one: ModelPin, two: ModelPin) -> Iterator[Change]:
    if one.floats != two.floats:
        if two.floats:
            yield _unpinned(two)
        else:
            message = f"pinned now, by {two.pinned_by}"
            yield Change(Part.MODELS, "model-pinned", Sign.CHANGED, two.id, Step.PATCH, message)
    elif (one.digest, one.revision, one.file) != (two.digest, two.revision, two.file):
        message = f"pin moved: {_pin_of(one)} → {_pin_of(two)}"
        yield Change(Part.MODELS, "model-moved", Sign.CHANGED, two.id, Step.MINOR, message)


def _unpinned(pin: ModelPin) -> Change:
    message = f"no longer pinned: {pin.unpinned or 'no reason given'}"
    return Change(Part.MODELS, "model-unpinned", Sign.CHANGED, pin.id, Step.MINOR, message)


def _moved(gone: list[ModelPin], come: list[ModelPin]) -> Iterator[tuple[ModelPin, ModelPin]]:
    """Pair what went with what came, and take it out: the nearest names first, for how it is told alone."""
    while gone and come and len(gone) * len(come) <= MAX_PAIRS:
        pairs = [(_likeness(old.id, new.id), -i, -j) for i, old in enumerate(gone) for j, new in enumerate(come)]
        likeness, i, j = max(pairs)
        if likeness == 0 and not len(gone) == len(come) == 1:
            return
        yield gone.pop(-i), come.pop(-j)


def _likeness(one: str, two: str) -> int:
    """Count the characters that two ids begin with alike, if they are enough to be of one family."""
    same = next(
        (at for at, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    return same if same >= 4 else 0  # noqa: PLR2004 - "gpt-"


def _pinned(pin: ModelPin) -> str:
    return f"{pin.id} (not pinned)" if pin.floats else pin.id


def _pin_of(pin: ModelPin) -> str:
    return pin.digest or pin.revision or (f"file {pin.file}" if pin.file else pin.id)


# capabilities


def _capabilities(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    one, two = before.capabilities, after.capabilities
    yield from _asked("tool", one.tools, two.tools, None, str)
    yield from _asked("egress", one.egress, two.egress, covers_host, str)
    yield from _asked("secret", one.secrets, two.secrets, None, str)
    yield from _asked("files", one.files, two.files, covers_files, lambda scope: f"{scope.access} {scope.path}")
    yield from _asked("MCP server", one.mcp_servers, two.mcp_servers, None, _server)


def _asked(
    what: str,
    before: Sequence[Item],
    after: Sequence[Item],
    covers: Callable[[Item, Item], bool] | None,
    text: Callable[[Item], str],
) -> Iterator[Change]:
    """Tell what is asked for now and nothing that was asked for before covers, and the other way round."""
    for item in _uncovered(after, before, covers):
        subject = f"{what} {text(item)}"
        yield Change(Part.CAPABILITIES, "capability-raised", Sign.ADDED, subject, Step.MINOR, "asked for now")
    for item in _uncovered(before, after, covers):
        subject = f"{what} {text(item)}"
        yield Change(Part.CAPABILITIES, "capability-lowered", Sign.REMOVED, subject, Step.PATCH, "no longer asked for")


def _uncovered(
    items: Sequence[Item], by: Sequence[Item], covers: Callable[[Item, Item], bool] | None
) -> Iterable[Item]:
    known = set(by)
    for item in items:
        if item not in known and not (covers and any(covers(other, item) for other in by)):
            yield item


def covers_host(granted: str, asked: str) -> bool:
    """Whether whoever may reach `granted` may reach `asked`. `*.example.org` covers every name below, not itself.

    The port is compared as written: without one, the usual one of the protocol is meant, not every one.
    """
    (one, _, one_port), (two, _, two_port) = granted.partition(":"), asked.partition(":")
    if one_port != two_port:
        return False
    return one == two or (one.startswith("*.") and two.removeprefix("*.").endswith(one[1:]))


def covers_files(granted: FileScope, asked: FileScope) -> bool:
    """Whether whoever has `granted` has `asked`: it or what is below it; writing includes reading."""
    if granted.access != "write" and asked.access == "write":
        return False
    if ".." in asked.path.split("/"):
        return granted.path == asked.path
    return asked.path == granted.path or asked.path.startswith(f"{granted.path.rstrip('/')}/")


def _server(server: McpServer) -> str:
    return f"{server.name} ({server.url or ' '.join(server.command or ())})"


# interfaces


def _interfaces(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    one, two = _by_name(before.interfaces.provides), _by_name(after.interfaces.provides)
    for name in sorted({*one, *two}):
        if name not in two:
            yield _interface("interface-removed", Sign.REMOVED, name, Step.MAJOR, "no longer provided")
        elif name not in one:
            yield _interface("interface-added", Sign.ADDED, name, Step.MINOR, "provided now")
        else:
            inputs = compare_schemas(_schema(one[name].input), _schema(two[name].input))
            outputs = compare_schemas(_schema(one[name].output), _schema(two[name].output))
            yield from schema_change(Part.INTERFACES, "interface", name, "input", inputs)
            yield from schema_change(Part.INTERFACES, "interface", name, "output", outputs)
    one, two = _by_name(before.interfaces.consumes), _by_name(after.interfaces.consumes)
    for name in sorted({*one, *two}):
        if name not in two:
            yield _interface("consumed-removed", Sign.REMOVED, name, Step.PATCH, "no longer consumed")
        elif name not in one:
            yield _interface("consumed-added", Sign.ADDED, name, Step.MAJOR, "consumed now: its provider must be there")
        else:
            yield from _consumed(name, one[name], two[name])


def _consumed(name: str, one: Interface, two: Interface) -> Iterator[Change]:
    """Compare from the provider's end: what it is sent is its input, which must not grow; what it gives, not shrink."""
    sent = compare_schemas(_schema(two.input), _schema(one.input))
    read = compare_schemas(_schema(two.output), _schema(one.output))
    for change in (
        *schema_change(Part.INTERFACES, "consumed", name, "input", sent),
        *schema_change(Part.INTERFACES, "consumed", name, "output", read),
    ):
        end = "what it sends" if "-input-" in change.kind else "what it reads"
        if change.step is Step.MAJOR:
            kind, message = "consumed-demands-more", f"{end} no longer fits a provider that did"
        else:
            kind, message = "consumed-changed", f"{end} still fits its provider"
        step = Step.MAJOR if change.step is Step.MAJOR else Step.PATCH
        inputs = "-input-" in change.kind
        pair = (one.input, two.input) if inputs else (one.output, two.output)
        schema = compare_schemas(_schema(pair[0]), _schema(pair[1]))
        yield Change(Part.INTERFACES, kind, Sign.CHANGED, f"consumed {name}", step, message, schema)


def _interface(kind: str, sign: Sign, name: str, step: Step, message: str) -> Change:
    return Change(Part.INTERFACES, kind, sign, name, step, message)


def _by_name(interfaces: Sequence[Interface]) -> dict[str, Interface]:
    """Give contracts by name and version: another version is another contract."""
    return {f"{each.name} {each.version}" if each.version else each.name: each for each in interfaces}


def _schema(schema: Mapping[str, object] | None) -> JsonValue:
    """Give what is compared; where nothing is said, anything goes."""
    return True if schema is None else cast("JsonValue", schema)


# state, runtime, requirements


def _state(one: State | None, two: State | None) -> Iterator[Change]:
    if one == two:
        return
    if one is None:
        yield _kept("state-added", Sign.ADDED, Step.MINOR, "kept from now on")
        return
    if two is None:
        yield _kept("state-removed", Sign.REMOVED, Step.MAJOR, "no longer kept: what was remembered is lost")
        return
    reads = (set(one.reads) or {one.schema_}, set(two.reads) or {two.schema_})
    if one.schema_ not in reads[1] and two.migrate is None:
        message = f"schema {one.schema_} → {two.schema_}, and it neither reads nor migrates what it remembers"
        yield _kept("state-unreadable", Sign.CHANGED, Step.MAJOR, message)
    elif one.schema_ != two.schema_:
        back = "" if two.schema_ in reads[0] else "; the older release cannot read it after a rollback"
        yield _kept("state-schema-moved", Sign.CHANGED, Step.MINOR, f"schema {one.schema_} → {two.schema_}{back}")
    if dropped := sorted(reads[0] - reads[1] - {one.schema_}):
        message = f"no longer reads schema {', '.join(map(str, dropped))}"
        yield _kept("state-reads-less", Sign.REMOVED, Step.MAJOR if two.migrate is None else Step.MINOR, message)
    if (one.migrate, one.on_rollback) != (two.migrate, two.on_rollback):
        yield _kept("state-handled-otherwise", Sign.CHANGED, Step.PATCH, "is migrated or rolled back otherwise")


def _kept(kind: str, sign: Sign, step: Step, message: str) -> Change:
    return Change(Part.STATE, kind, sign, "state", step, message)


def _runtime(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    if before.entrypoint != after.entrypoint:
        message = f"{' '.join(before.entrypoint)} → {' '.join(after.entrypoint)}"
        yield Change(Part.RUNTIME, "entrypoint-changed", Sign.CHANGED, "entrypoint", Step.PATCH, message)
    one, two = before.runtime, after.runtime
    if one != two:
        step = Step.PATCH if (one.kind, one.python) == (two.kind, two.python) else Step.MINOR
        message = f"{_runtime_text(one)} → {_runtime_text(two)}"
        yield Change(Part.RUNTIME, "runtime-changed", Sign.CHANGED, "runtime", step, message)


def _runtime_text(runtime: Runtime) -> str:
    if runtime.kind == "vendored":
        return f"vendored, Python {runtime.python}" if runtime.python else "vendored"
    return f"Python {runtime.python or '(any)'} with {runtime.requirements}"


def _requirements(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    one, two = before.requirements, after.requirements
    for program in sorted(set(two.programs) - set(one.programs)):
        yield _required("requirement-raised", Sign.ADDED, f"program {program}", Step.MINOR, "needed now")
    for program in sorted(set(one.programs) - set(two.programs)):
        yield _required("requirement-lowered", Sign.REMOVED, f"program {program}", Step.PATCH, "no longer needed")
    for name, old, new in (
        ("memory", one.memory_mib, two.memory_mib),
        ("disk", one.disk_mib, two.disk_mib),
        ("GPU memory", one.gpu_memory_mib, two.gpu_memory_mib),
    ):
        if old != new:
            raised = (new or 0) > (old or 0)
            kind, step = ("requirement-raised", Step.MINOR) if raised else ("requirement-lowered", Step.PATCH)
            yield _required(kind, Sign.CHANGED, name, step, f"{_mib(old)} → {_mib(new)}")
    yield from _platforms(one.platforms, two.platforms)


def _platforms(one: Sequence[str], two: Sequence[str]) -> Iterator[Change]:
    """None listed means any."""
    if set(one) == set(two):
        return
    message = f"{', '.join(one) or 'any'} → {', '.join(two) or 'any'}"
    if two and (not one or set(one) - set(two)):
        yield _required("platform-dropped", Sign.REMOVED, "platforms", Step.MAJOR, message)
    else:
        yield _required("platform-added", Sign.ADDED, "platforms", Step.MINOR, message)


def _required(kind: str, sign: Sign, subject: str, step: Step, message: str) -> Change:
    return Change(Part.REQUIREMENTS, kind, sign, subject, step, message)


def _allowed_secrets(before: AgentConfig, after: AgentConfig) -> Iterator[Change]:
    """Tell which files the build did not look through: no behaviour, and for whoever approves to know."""
    one, two = ({each.path: each.reason for each in config.allowed_secrets} for config in (before, after))
    for path in sorted({*one, *two}):
        if path not in one:
            yield _secret("secret-allowed", Sign.ADDED, path, f"may hold a secret now: {two[path]}")
        elif path not in two:
            yield _secret("secret-no-longer-allowed", Sign.REMOVED, path, "may hold no secret any more")
        elif one[path] != two[path]:
            yield _secret("secret-allowed-otherwise", Sign.CHANGED, path, f"{one[path]} → {two[path]}")


def _secret(kind: str, sign: Sign, subject: str, message: str) -> Change:
    return Change(Part.SECRETS, kind, sign, subject, Step.PATCH, message)


def _mib(amount: int | None) -> str:
    return "none" if amount is None else f"{amount} MiB"
