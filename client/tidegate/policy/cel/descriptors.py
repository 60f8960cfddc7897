"""Schemas as protobuf messages, which is how the library learns names and types. Imports protobuf: import it late."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.struct_pb2 import DESCRIPTOR as STRUCT_FILE
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP_FILE

from tidegate.policy.cel.schemas import FieldType, ListOf, MapOf, Message, Scalar

PACKAGE: Final = "tidegate"
_NAMES: Final = {Scalar.DOUBLE: "DOUBLE", Scalar.INT: "INT64", Scalar.BOOL: "BOOL", Scalar.STRING: "STRING"}


def message_pool(*schemas: Message) -> DescriptorPool:
    """Give a pool in which each of `schemas` and the messages inside them are declared, as `tidegate.NAME`."""
    pool = DescriptorPool()
    pool.AddSerializedFile(TIMESTAMP_FILE.serialized_pb)
    pool.AddSerializedFile(STRUCT_FILE.serialized_pb)
    pool.Add(_file(schemas))
    return pool


def _file(schemas: tuple[Message, ...]) -> FileDescriptorProto:
    """Declare the messages of `schemas`, and those inside them, as protobuf."""
    file = FileDescriptorProto(name="tidegate/views.proto", package=PACKAGE, syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/struct.proto"])
    for schema in schemas:
        _declare(file, schema)
    return file


def _declare(file: FileDescriptorProto, schema: Message) -> None:
    message = file.message_type.add(name=schema.name)
    for number, (name, kind) in enumerate(schema.fields.items(), start=1):
        field = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
        match kind:
            case ListOf(item=inside):
                field.label = Field.LABEL_REPEATED
                _type(file, field, inside)
            case MapOf(value=inside):
                entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
                entry.options.map_entry = True
                _type(file, entry.field.add(name="key", number=1, label=Field.LABEL_OPTIONAL), Scalar.STRING)
                _type(file, entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL), inside)
                field.label, field.type = Field.LABEL_REPEATED, Field.TYPE_MESSAGE
                field.type_name = f".{PACKAGE}.{schema.name}.{entry.name}"
            case _:
                _type(file, field, kind)


def _type(file: FileDescriptorProto, field: Field, kind: FieldType) -> None:
    match kind:
        case Message():
            _declare(file, kind)
            field.type, field.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{kind.name}"
        case Scalar.TIMESTAMP:
            field.type, field.type_name = Field.TYPE_MESSAGE, ".google.protobuf.Timestamp"
        case Scalar.DYN:
            field.type, field.type_name = Field.TYPE_MESSAGE, ".google.protobuf.Value"
        case Scalar():
            field.type = Field.Type.Value(f"TYPE_{_NAMES[kind]}")
        case _:
            raise AssertionError("protobuf has no lists of lists or of maps: give them a message")
