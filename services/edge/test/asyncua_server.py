"""An OPC UA server on asyncua, for the tests of the gateway.

Usage: asyncua_server.py PORT CONTROL. It has the variables ns=2;s=t0 to ns=2;s=t4 (Double) and ns=2;s=set (Double, which can be
written), in the folder "Machine".

It prints "ready", and answers each line on the port CONTROL, a JSON object, with one line:
{"set": [name, value]}, {"add": name}, {"stopPublishing": true}, {"sessions": true}.
"""

import asyncio
import json
import logging
import sys

from asyncua import Server, ua

logging.disable(logging.CRITICAL)


async def main() -> None:
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{sys.argv[1]}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:test")
    folder = await server.nodes.objects.add_folder(ua.NodeId("Machine", index), ua.QualifiedName("Machine", index))
    variables = {}

    async def add(name: str) -> None:
        node = ua.NodeId(name, index)
        variable = await folder.add_variable(node, ua.QualifiedName(name, index), 0.0, ua.VariantType.Double)
        if name == "set":
            await variable.set_writable()
        variables[name] = variable

    for name in ["t0", "t1", "t2", "t3", "t4", "set"]:
        await add(name)

    async def answer(command: dict) -> object:
        if "set" in command:
            name, value = command["set"]
            await variables[name].write_value(float(value))
        elif "add" in command:
            await add(command["add"])
        elif "stopPublishing" in command:
            # The subscriptions stay, and their sessions answer: only their notifications never come.
            service = server.iserver.subscription_service
            for subscription in service.subscriptions.values():
                subscription._task.cancel()
            return len(service.subscriptions)
        elif "sessions" in command:
            return len(server.bserver.clients) if server.bserver else 0
        return True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(await answer(json.loads(line))).encode() + b"\n")

    async with server:
        control = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[2]))
        print("ready", flush=True)
        await control.serve_forever()


asyncio.run(main())
