"""Publishes reports by paho-mqtt or gmqtt, for the tests of ingest. Prints one JSON object: how many were acknowledged."""

import asyncio
import json
import os
import sys


def paho(host, port, version, qos, token, count):
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"paho-{version}-{qos}",
        protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311,
    )
    client.username_pw_set("plant1.paho", token)
    client.connect(host, port, keepalive=10)
    client.loop_start()
    sent = [
        client.publish("plant1/paho/telemetry", json.dumps({"id": f"paho-{version}-{qos}-{n}", "readings": [{"tag": "n", "value": n}]}), qos)
        for n in range(count)
    ]
    for each in sent:
        each.wait_for_publish(10)
    acknowledged = sum(each.is_published() for each in sent)
    client.disconnect()
    client.loop_stop()
    return acknowledged


async def gmqtt(host, port, version, qos, token, count):
    from gmqtt import Client
    from gmqtt.mqtt.constants import MQTTv311, MQTTv50

    client = Client(f"gmqtt-{version}-{qos}")
    client.set_auth_credentials("plant1.gmqtt", token)
    await client.connect(host, port, keepalive=10, version=MQTTv50 if version == 5 else MQTTv311)
    for n in range(count):
        report = {"id": f"gmqtt-{version}-{qos}-{n}", "readings": [{"tag": "n", "value": n}]}
        client.publish("plant1/gmqtt/telemetry", report, qos=qos)
    # It keeps a message until it is acknowledged.
    for _ in range(500):
        if client._persistent_storage.is_empty:
            break
        await asyncio.sleep(0.02)
    acknowledged = count if client._persistent_storage.is_empty else 0
    await client.disconnect()
    return acknowledged


name, host, port, version, qos, count = sys.argv[1:]
arguments = (host, int(port), int(version), int(qos), os.environ["TOKEN"], int(count))
acknowledged = paho(*arguments) if name == "paho" else asyncio.run(gmqtt(*arguments))
print(json.dumps({"acknowledged": acknowledged}))
