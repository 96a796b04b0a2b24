"""Encodes and decodes Sparkplug payloads by pysparkplug. Reads one JSON object from stdin, and writes one to stdout."""

import datetime
import json
import sys

import pysparkplug
from pysparkplug import DataType, Metric

TYPES = {
    "NBIRTH": pysparkplug.NBirth,
    "DBIRTH": pysparkplug.DBirth,
    "NDATA": pysparkplug.NData,
    "DDATA": pysparkplug.DData,
    "NDEATH": pysparkplug.NDeath,
    "DDEATH": pysparkplug.DDeath,
    "NCMD": pysparkplug.NCmd,
    "DCMD": pysparkplug.DCmd,
    "STATE": pysparkplug.State,
}


def time_from(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.timezone.utc)


def value_from(datatype, value):
    if datatype == DataType.DATETIME and value is not None:
        return time_from(value)
    if datatype == DataType.DATETIME_ARRAY:
        return tuple(time_from(each) for each in value)
    return tuple(value) if isinstance(value, list) else value


def json_from(value):
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, tuple):
        return [json_from(each) for each in value]
    return value


def metric_from(fields):
    datatype = DataType(fields["datatype"])
    return Metric(
        timestamp=fields.get("timestamp"),
        name=fields.get("name"),
        datatype=datatype,
        value=value_from(datatype, fields.get("value")),
        alias=fields.get("alias"),
        is_historical=fields.get("isHistorical", False),
        is_null=fields.get("isNull", False),
    )


def encoded(message):
    payload_type = TYPES[message["type"]]
    fields = dict(message["fields"])
    if "metrics" in fields:
        fields["metrics"] = tuple(metric_from(each) for each in fields["metrics"])
    if "bd_seq_metric" in fields:
        fields["bd_seq_metric"] = metric_from(fields["bd_seq_metric"])
    return payload_type(**fields).encode().hex()


def decoded(message):
    payload_type = TYPES[message["type"]]
    birth = message.get("birth")
    if birth is not None:
        birth = TYPES[birth["type"]].decode(bytes.fromhex(birth["payload"]))
    payload = payload_type.decode(bytes.fromhex(message["payload"]), birth=birth)
    if message["type"] == "STATE":
        return {"online": payload.online, "timestamp": payload.timestamp}
    metrics = [
        {
            "name": each.name,
            "alias": each.alias,
            "timestamp": each.timestamp,
            "datatype": int(each.datatype),
            "value": json_from(each.value),
            "isNull": each.is_null,
        }
        for each in payload.metrics
    ]
    return {"timestamp": payload.timestamp, "seq": getattr(payload, "seq", None), "metrics": metrics}


def topic_text(topic):
    return str(pysparkplug.Topic.from_str(topic))


request = json.load(sys.stdin)
json.dump(
    {
        "encoded": [encoded(each) for each in request.get("encode", [])],
        "decoded": [decoded(each) for each in request.get("decode", [])],
        "topics": [topic_text(each) for each in request.get("topics", [])],
    },
    sys.stdout,
)
