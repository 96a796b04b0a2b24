"""Reads and writes the Modbus server of the plant with pymodbus, and prints one line of JSON.

Usage: modbus_client.py PORT
"""

import json
import sys

from pymodbus.client import ModbusTcpClient

client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=10, retries=0)
assert client.connect()
kind = client.DATATYPE


def value(registers, data_type, word_order="big"):
    return client.convert_from_registers(registers, data_type, word_order=word_order)


found = {
    "meter1": value(client.read_input_registers(0, count=2, device_id=1).registers, kind.FLOAT32),
    "meter2": value(client.read_holding_registers(4, count=2, device_id=2).registers, kind.FLOAT32, "little"),
    "meter3": client.read_holding_registers(99, count=1, device_id=3).registers[0] / 10,
}
setpoint = client.convert_to_registers(3.5, kind.FLOAT32)
found["written"] = not client.write_registers(0, setpoint, device_id=4).isError()
found["setpoint"] = value(client.read_holding_registers(0, count=2, device_id=4).registers, kind.FLOAT32)
too_high = client.convert_to_registers(99.0, kind.FLOAT32)
found["too_high"] = client.write_registers(0, too_high, device_id=4).exception_code
found["stopped"] = not client.write_coil(0, False, device_id=4).isError()
found["missing"] = client.read_holding_registers(500, count=1, device_id=2).exception_code
found["function"] = client.read_exception_status(device_id=1).exception_code
print(json.dumps(found), flush=True)
client.close()
