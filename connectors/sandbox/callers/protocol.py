"""The messages of the gRPC stream, `ringcentral.ringcx.streaming.v1beta2`, in a pool of their own.

Built from the table below and not from generated code, so that a receiver's generated module, which has the same names,
may live in the same process. Source: ringcx-api.md, *Call streaming*.
"""

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "ringcentral.ringcx.streaming.v1beta2"
METHOD = f"/{PACKAGE}.Streaming/Stream"

# "name = number" with a type before it; a type with a capital is a message or an enumeration of this file.
MESSAGES = {
    "Account": "string id=1, string sub_account_id=2, string rc_account_id=3",
    "Dialog": "string id=1, DialogType type=2, optional string ani=3, optional string dnis=4,"
    " optional string language=5, map attributes=6",
    "DialogInitEvent": "Account account=1, Dialog dialog=2",
    "Product": "string id=1, ProductType type=2",
    "Participant": "string id=1, ParticipantType type=2, optional string name=3",
    "AudioFormat": "Codec codec=1, uint32 rate=2, uint32 ptime=3",
    "SegmentStartEvent": "string segment_id=1, optional Product product=2, Participant participant=3,"
    " optional AudioFormat audio_format=4",
    "AudioContent": "bytes payload=1, uint32 seq=2, uint32 duration=3",
    "SegmentMediaEvent": "string segment_id=1, AudioContent audio_content=2",
    "SegmentInfoEvent": "string segment_id=1, string event=2, optional string data=3",
    "SegmentStopEvent": "string segment_id=1",
    "StreamEvent": "string session_id=1, one DialogInitEvent dialog_init=2, one SegmentStartEvent segment_start=3,"
    " one SegmentMediaEvent segment_media=4, one SegmentInfoEvent segment_info=5, one SegmentStopEvent segment_stop=6",
}
ENUMS = {
    "Codec": {"UNSPECIFIED": 0, "OPUS": 1, "PCMA": 2, "PCMU": 3, "L16": 4, "FLAC": 5},
    "DialogType": {"DIALOG_TYPE_UNSPECIFIED": 0, "INBOUND": 1, "OUTBOUND": 2},
    "ProductType": {"PRODUCT_TYPE_UNSPECIFIED": 0, "QUEUE": 1, "CAMPAIGN": 2, "IVR": 3},
    "ParticipantType": {"PARTICIPANT_TYPE_UNSPECIFIED": 0, "CONTACT": 1, "AGENT": 2, "BOT": 5},
}
SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
}


@cache
def stream_event() -> Any:
    """The class of `StreamEvent`; those of its parts are reached through its fields."""
    pool = DescriptorPool()
    pool.Add(_file())
    return GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.StreamEvent"))


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="sandbox/streaming.proto", package=PACKAGE, syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for label, number in values.items():
            enum.value.add(name=label, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split(","):
            _add_field(message, text.strip())
    return file


def _add_field(message: DescriptorProto, text: str) -> None:
    *labels, kind, definition = text.split()
    name, number = definition.split("=")
    field = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind == "map":
        _make_map(message, field)
    elif kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type_name = f".{PACKAGE}.{kind}"
        field.type = FieldDescriptorProto.TYPE_ENUM if kind in ENUMS else FieldDescriptorProto.TYPE_MESSAGE
    if "one" in labels:
        if not message.oneof_decl:
            message.oneof_decl.add(name="event")
        field.oneof_index = 0
    elif "optional" in labels and kind in SCALARS:
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")


def _make_map(message: DescriptorProto, field: FieldDescriptorProto) -> None:
    entry = message.nested_type.add(name="AttributesEntry")
    entry.options.map_entry = True
    for name, number in (("key", 1), ("value", 2)):
        label = FieldDescriptorProto.LABEL_OPTIONAL
        entry.field.add(name=name, number=number, label=label, type=FieldDescriptorProto.TYPE_STRING)
    field.label = FieldDescriptorProto.LABEL_REPEATED
    field.type = FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"
