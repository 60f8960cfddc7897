"""What agent.yaml says that only the files of the folder can confirm: requirements, pins by file, schema files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidegate.bundle.content import MAX_JSON_LAYER_BYTES
from tidegate.bundle.requirements import MAX_REQUIREMENTS_BYTES, check_requirements
from tidegate.bundle.spec import AgentFile, InterfaceSpec
from tidegate.bundle.tree import SourceFile
from tidegate.errors import JsonInvalid, Reason
from tidegate.formats.config import Kind
from tidegate.formats.declarations import Interface, Interfaces
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.yamldoc import PathInside


def check_declarations(file: AgentFile, kinds: Mapping[str, Kind], files: Mapping[str, SourceFile]) -> Iterator[Reason]:
    """Say what agent.yaml declares about files that are not there, or not what they must be."""
    runtime, requirements = file.spec.runtime, ("runtime", "requirements")
    if runtime.requirements is not None:
        found = files.get(runtime.requirements)
        if found is None:
            yield _missing(file, requirements, runtime.requirements)
        elif not kinds[runtime.requirements].behavioural:
            message = "what is installed is behaviour; this file belongs to docs or evals"
            yield file.mistake(requirements, message, code="requirements-not-behavioural", found=runtime.requirements)
        else:
            yield from check_requirements(found.read(MAX_REQUIREMENTS_BYTES), runtime.requirements)
    for index, model in enumerate(file.spec.models):
        if model.file is not None and kinds.get(model.file) is not Kind.WEIGHTS:
            message = "a model is pinned by a weights file of the bundle"
            hint = "list the file under components.weights"
            yield file.mistake(
                ("models", index, "file"), message, code="model-file-missing", found=model.file, hint=hint
            )


def declared_interfaces(file: AgentFile, files: Mapping[str, SourceFile]) -> Interfaces:
    """Give the interfaces with every schema in place. Raises AgentFileInvalid."""
    reasons: list[Reason] = []

    def schema(value: object, path: PathInside) -> JsonObject | None:
        if not isinstance(value, str):
            return value  # type: ignore[return-value]  # the model has let only objects and None pass
        if value not in files:
            reasons.append(_missing(file, path, value))
            return None
        try:
            return parse_object(files[value].read(MAX_JSON_LAYER_BYTES), limit=MAX_JSON_LAYER_BYTES, what=value)
        except JsonInvalid as error:
            reasons.append(file.mistake(path, error.message, code="schema-not-json", found=value))
            return None

    def interface(spec: InterfaceSpec, path: PathInside) -> Interface:
        given, answer = schema(spec.input, (*path, "input")), schema(spec.output, (*path, "output"))
        return Interface(name=spec.name, version=spec.version, input=given, output=answer)

    declared = file.spec.interfaces
    result = Interfaces(
        provides=tuple(interface(spec, ("interfaces", "provides", at)) for at, spec in enumerate(declared.provides)),
        consumes=tuple(interface(spec, ("interfaces", "consumes", at)) for at, spec in enumerate(declared.consumes)),
    )
    if reasons:
        raise file.refusal(reasons)
    return result


def _missing(file: AgentFile, path: PathInside, name: str) -> Reason:
    hint = "paths start at the folder of agent.yaml; ignored files do not count"
    return file.mistake(path, "there is no such file in the bundle", code="file-missing", found=name, hint=hint)
