"""A Modbus server on pymodbus, for the tests of the gateway.

Usage: modbus_server.py PORT FRAMING, where FRAMING is tcp or rtu. Units 1 to 4 have holding and input registers 0 to
199 with their own address as value, but none at 50; coils and discrete inputs 0 to 63 of which the odd ones are set.
Unit 9 never answers.

It prints "ready", then one line of JSON for each write: unit, function, address, values.
"""

import asyncio
import json
import sys

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def device(unit: int) -> SimDevice:
    async def log_write(function, _start, address, _count, _registers, values):
        if unit == 9:
            await asyncio.sleep(3_600)
        if values is not None:
            write = {"unit": unit, "function": function, "address": address}
            print(json.dumps({**write, "values": [int(value) for value in values]}), flush=True)

    def registers():
        return [
            SimData(first, values=list(range(first, end)), datatype=DataType.REGISTERS)
            for first, end in [(0, 50), (51, 200)]
        ]

    def bits():
        return [SimData(0, values=[bit % 2 == 1 for bit in range(64)], datatype=DataType.BITS)]

    return SimDevice(unit, simdata=(bits(), bits(), registers(), registers()), action=log_write)


async def main() -> None:
    port, framing = int(sys.argv[1]), sys.argv[2]
    server = ModbusTcpServer(
        [device(unit) for unit in [1, 2, 3, 4, 9]],
        framer=FramerType.RTU if framing == "rtu" else FramerType.SOCKET,
        address=("127.0.0.1", port),
    )
    await server.listen()
    print("ready", flush=True)
    await server.serving


asyncio.run(main())
