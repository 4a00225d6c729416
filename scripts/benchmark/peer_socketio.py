"""Receives what a gateway sends, by python-socketio alone, and forgets it.

Argument: the gateway's URL. Ends with its standard input, and prints how many events came.
"""

import asyncio
import sys

import socketio

NAMESPACE = "/v1/ws/prediction-markets/positions"


async def main(url: str) -> None:
    """Count them."""
    received = 0
    client = socketio.AsyncClient()

    async def on_event(event: str, data: object) -> None:
        nonlocal received
        del event, data
        received += 1

    client.on("*", on_event, namespace=NAMESPACE)
    await client.connect(url, namespaces=[NAMESPACE], transports=["websocket"])
    await asyncio.to_thread(sys.stdin.read)
    await client.disconnect()
    print(received)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
