"""A daemon made of the published package's own generated servicer classes: every service, found by reflection.

It knows nothing of what messages mean. Each subscription becomes a Stream that a story sends on; each command is noted
and answered with an empty answer, unless a story gives another.
"""

import asyncio
import collections

import grpc
from google.protobuf import message_factory
from olvid.protobuf.olvid.daemon.services.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    command_service_pb2,
    command_service_pb2_grpc,
    notification_service_pb2,
    notification_service_pb2_grpc,
)

MODULES = [
    (admin_service_pb2, admin_service_pb2_grpc),
    (command_service_pb2, command_service_pb2_grpc),
    (notification_service_pb2, notification_service_pb2_grpc),
]

PATIENCE = 60


class Stream:
    """One open subscription."""

    def __init__(self, rpc, request, metadata, notification):
        self.rpc, self.request, self.metadata, self.notification = rpc, request, metadata, notification
        self.actions = asyncio.Queue()
        self.closed = asyncio.Event()

    def send(self, message):
        """Sends a message, or bytes as they are."""
        self.actions.put_nowait(message)

    def end(self, code=grpc.StatusCode.OK, details=""):
        self.actions.put_nowait((code, details))

    async def taken(self):
        """Waits until all that was sent is on its way."""
        await self.actions.join()

    async def wait_closed(self):
        await asyncio.wait_for(self.closed.wait(), PATIENCE)


class Daemon:
    def __init__(self):
        self.opened = asyncio.Queue()
        self.calls = []
        self.answers = {"StorageSet": self.store}
        # Commands that store wait while it is cleared.
        self.may_store = asyncio.Event()
        self.may_store.set()
        self.stored = collections.defaultdict(asyncio.Queue)
        # Whether a stream's headers come before its first message; a server of grpc.aio sends them late by itself.
        self.headers_first = lambda rpc: True
        # A status for a subscription that is refused.
        self.refuse = lambda stream: None

    async def start(self):
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)])
        count = 0
        for pb2, pb2_grpc in MODULES:
            for name, service in pb2.DESCRIPTOR.services_by_name.items():
                base = getattr(pb2_grpc, f"{name}Servicer")
                make = self.subscription if name.endswith("NotificationService") else self.command
                methods = {method.name: make(method) for method in service.methods}
                count += len(methods)
                servicer = type(name, (base,), methods)()
                getattr(pb2_grpc, f"add_{name}Servicer_to_server")(servicer, Registry(self.server))
        assert count == 152, count
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        print(f"port {port}", flush=True)

    def subscription(self, method):
        notification = message_factory.GetMessageClass(method.output_type)

        async def serve(_, request, context):
            stream = Stream(method.name, request, dict(context.invocation_metadata()), notification)
            self.calls.append((method.name, stream.metadata))
            if refusal := self.refuse(stream):
                await context.abort(*refusal)
            if self.headers_first(method.name):
                await context.send_initial_metadata(())
            self.opened.put_nowait(stream)
            try:
                while True:
                    action = await stream.actions.get()
                    if not isinstance(action, tuple):
                        yield action
                        stream.actions.task_done()
                    elif action[0] == grpc.StatusCode.OK:
                        return
                    else:
                        await context.abort(*action)
            finally:
                stream.closed.set()

        return serve

    def command(self, method):
        answer = message_factory.GetMessageClass(method.output_type)

        async def serve(_, request, context):
            self.calls.append((method.name, dict(context.invocation_metadata())))
            if method.name == "StorageSet":
                await self.may_store.wait()
            return self.answers.get(method.name, lambda _: answer())(request)

        async def stream(self_, request, context):
            yield await serve(self_, request, context)

        return stream if method.server_streaming else serve

    def store(self, request):
        """Takes what a handler says, by the key it says it under."""
        self.stored[request.key].put_nowait(request.value)
        return response("StorageSet")

    async def said(self, key):
        return await asyncio.wait_for(self.stored[key].get(), PATIENCE)

    async def next_stream(self):
        return await asyncio.wait_for(self.opened.get(), PATIENCE)


class Registry:
    """Takes the handlers that the generated code registers, and lets bytes pass where a message is expected."""

    def __init__(self, server):
        self.server = server

    def add_generic_rpc_handlers(self, _):
        """The generated code registers everything twice; once is enough."""

    def add_registered_method_handlers(self, service, handlers):
        for name, handler in handlers.items():
            handlers[name] = handler._replace(response_serializer=raw(handler.response_serializer))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def raw(serialize):
    return lambda value: value if isinstance(value, bytes) else serialize(value)


def response(rpc, **fields):
    """The answer of a command, by the RPC's name."""
    for pb2, _ in MODULES:
        for service in pb2.DESCRIPTOR.services_by_name.values():
            if rpc in service.methods_by_name:
                return message_factory.GetMessageClass(service.methods_by_name[rpc].output_type)(**fields)
    raise LookupError(rpc)
