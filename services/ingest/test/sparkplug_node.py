"""An edge node of pysparkplug, driven by one JSON object a line on stdin. Writes what it receives, one JSON object a line."""

import json
import sys

import pysparkplug
from pysparkplug import DataType, Message, MessageType, Metric, NBirth, QoS, Topic

REBIRTH = "Node Control/Rebirth"


def say(**fields):
    print(json.dumps(fields), flush=True)


def metric(fields):
    return Metric(
        timestamp=fields.get("timestamp", pysparkplug.get_current_timestamp()),
        name=fields["name"],
        datatype=DataType.DOUBLE,
        value=fields["value"],
        is_historical=fields.get("isHistorical", False),
    )


class Node:
    def __init__(self, host, port, group, name, username=None, password=None):
        self.address = (host, port)
        self.topic = dict(group_id=group, edge_node_id=name)
        self.client = pysparkplug.Client(client_id=f"{group}-{name}", username=username, password=password)
        rebirth = Metric(
            timestamp=pysparkplug.get_current_timestamp(), name=REBIRTH, datatype=DataType.BOOLEAN, value=False
        )
        metrics = [rebirth, metric({"name": "temperature", "value": 20.0})]
        self.node = pysparkplug.EdgeNode(group, name, metrics, client=self.client, cmd_callback=self.on_command)

    def on_command(self, node, message):
        names = [each.name for each in message.payload.metrics]
        say(command=str(message.topic), names=names)
        if REBIRTH in names:
            self.birth()
        else:
            self.node.update(self.written(message))

    def on_device_command(self, node, message):
        say(command=str(message.topic), names=[each.name for each in message.payload.metrics])
        self.node.update_device(message.topic.device_id, self.written(message))

    def written(self, message):
        return [metric({"name": each.name, "value": each.value}) for each in message.payload.metrics]

    def birth(self):
        metrics = (*self.node.metrics.values(), self.node._bd_seq_metric)
        payload = NBirth(timestamp=pysparkplug.get_current_timestamp(), seq=self.node._seq, metrics=metrics)
        topic = Topic(message_type=MessageType.NBIRTH, **self.topic)
        self.client.publish(
            Message(topic=topic, payload=payload, qos=QoS.AT_MOST_ONCE, retain=False), include_dtypes=True
        )

    def run(self, request):
        op = request["op"]
        if op == "connect":
            # The will of this connection is set at the connect; pysparkplug sets that of the next one after the birth.
            self.node.connect(self.address[0], port=self.address[1])
        elif op == "device":
            metrics = [metric(each) for each in request["metrics"]]
            self.node.register(pysparkplug.Device(request["device"], metrics, cmd_callback=self.on_device_command))
        elif op == "data":
            metrics = [metric(each) for each in request["metrics"]]
            if "device" in request:
                self.node.update_device(request["device"], metrics)
            else:
                self.node.update(metrics)
        elif op == "skip":
            # A message that is lost on its way.
            next_seq = self.node._seq
            say(skipped=next_seq)
            return
        elif op == "remove":
            self.node.deregister(request["device"])
        elif op == "disconnect":
            self.node.disconnect()
        say(done=op)


node = Node(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
for line in sys.stdin:
    node.run(json.loads(line))
