"""The gRPC server: domain errors to rich statuses, permissions, health, reflection, drain."""

import asyncio
import dataclasses
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import grpc
import mode
import sqlalchemy as sa
import yaml
from google.protobuf import any_pb2, descriptor_pool
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from muster.kit.errors import MusterError, NotFound, NotNow, NotReady, Refusal, Violation
from muster.kit.logs import get_log
from muster.v1 import options_pb2

DOMAIN = "muster"
CODES = {Refusal: code_pb2.INVALID_ARGUMENT, NotFound: code_pb2.NOT_FOUND, NotNow: code_pb2.FAILED_PRECONDITION}
OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def to_status(error: MusterError) -> status_pb2.Status:
    """Return the rich status of an error: ErrorInfo with its reason, BadRequest with its violations."""
    code = next((c for kind, c in CODES.items() if isinstance(error, kind)), code_pb2.UNAVAILABLE)
    status = status_pb2.Status(code=code, message=error.message)
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if error.violations:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description) for v in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def from_rpc_error(error: grpc.RpcError) -> MusterError:
    """Return the error a server meant, with its reason and violations; for clients."""
    call = cast(grpc.Call, error)
    reason = call.code().name
    violations: tuple[Violation, ...] = ()
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            violations = tuple(Violation(v.field, v.description) for v in bad.field_violations)
    kinds = {grpc.StatusCode.INVALID_ARGUMENT: Refusal, grpc.StatusCode.NOT_FOUND: NotFound}
    kind = kinds.get(call.code(), NotReady if call.code() == grpc.StatusCode.UNAVAILABLE else NotNow)
    return kind(reason, call.details() or "", violations)


def permission_of(method: str) -> Any:
    """Return the permission that an RPC (/package.Service/Method) declares, 0 for none."""
    service, _, name = method.lstrip("/").rpartition("/")
    if service == "google.longrunning.Operations":
        return options_pb2.PERMISSION_SCHEDULE_READ
    try:
        found = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
    except KeyError:
        return 0
    return found.GetOptions().Extensions[options_pb2.permission]


@dataclasses.dataclass(frozen=True)
class Grants:
    """Who may do what: permissions by bearer token. Without tokens everyone on loopback may do everything."""

    by_token: Mapping[str, frozenset[str]]

    @staticmethod
    def load(path: pathlib.Path | None, listen: str) -> "Grants":
        """Read the file `tokens: {TOKEN: [PERMISSION, …]}`. Raise Refusal where listening asks for one and there is none."""
        if path is None:
            if listen not in LOOPBACK:
                raise Refusal("NO_AUTH", f"refusing to listen on {listen} without MUSTER_AUTH_FILE (tokens and permissions)")
            return Grants({})
        names = set(options_pb2.Permission.keys())
        tokens = {}
        for token, granted in yaml.safe_load(path.read_text())["tokens"].items():
            wanted = {f"PERMISSION_{name}" for name in granted}
            if wanted - names:
                raise Refusal("UNKNOWN_PERMISSION", f"{path}: {sorted(wanted - names)}; known: {sorted(names)}")
            tokens[token] = frozenset(wanted)
        return Grants(tokens)

    def allow(self, method: str, metadata: Mapping[str, str | bytes]) -> bool:
        """Return whether the caller may call the RPC. Health and reflection are open; an RPC without a permission is not."""
        if not self.by_token or method.startswith(OPEN):
            return True
        wanted = permission_of(method)
        scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
        return (
            bool(wanted)
            and scheme.lower() == "bearer"
            and options_pb2.Permission.Name(wanted) in self.by_token.get(token, frozenset())
        )


class _Gate(grpc.aio.ServerInterceptor):
    """Refuses calls without permission and turns errors into statuses; `closing` ends those that are left when the drain is over."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self.closing = asyncio.Event()

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        allowed = self._grants.allow(details.method, dict(details.invocation_metadata or ()))
        guard = _Guard(details.method, allowed, self.closing)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                guard.unary(handler.unary_unary), handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                guard.stream(handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        return handler  # reflection


@dataclasses.dataclass(frozen=True)
class _Guard:
    method: str
    allowed: bool
    closing: asyncio.Event

    async def _in_time(self, work: Any, context: Any) -> Any:
        """Return what a call returns, unless the service ends first: then the caller is to try again, elsewhere or later."""
        running, closing = asyncio.ensure_future(work), asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({running, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await context.abort(grpc.StatusCode.UNAVAILABLE, f"{self.method}: the service is stopping; try again")
            return await running
        finally:
            closing.cancel()
            running.cancel()

    async def _check(self, context: Any) -> None:
        if not self.allowed:
            permission = options_pb2.Permission.Name(permission_of(self.method)).removeprefix("PERMISSION_")
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{self.method} needs a token with {permission}")

    async def _fail(self, context: Any, error: MusterError) -> None:
        get_log().info("rpc_refused", method=self.method, reason=error.reason, why=error.message)
        await context.abort_with_status(rpc_status.to_status(to_status(error)))

    def unary(self, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            await self._check(context)
            try:
                return await self._in_time(inner(request, context), context)
            except MusterError as error:
                await self._fail(context, error)
            except sa.exc.OperationalError as error:
                await self._fail(context, NotReady("DATABASE_UNAVAILABLE", f"{error.orig}; try again"))
            except (ValueError, KeyError, OverflowError) as error:
                get_log().error("rpc_failed", method=self.method, why=f"{type(error).__name__}: {error}", then="report it")
                await self._fail(context, Refusal("INVALID_REQUEST", f"{type(error).__name__}: {error}"))

        return call

    def stream(self, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            await self._check(context)
            try:
                async for answer in inner(request, context):
                    yield answer
            except MusterError as error:
                await self._fail(context, error)

        return call


class RpcServer(mode.Service):
    """The server of one process; SERVING while `why_not_ready` is None."""

    def __init__(self, address: str, grants: Grants, names: Sequence[str], drain_seconds: float) -> None:
        super().__init__()
        self._address, self._names, self._drain = address, names, drain_seconds
        self._gate = _Gate(grants)
        self.server = grpc.aio.server(interceptors=[self._gate])
        self._health = health.aio.HealthServicer()
        self.why_not_ready: Callable[[], str | None] = lambda: None
        self.port = 0

    async def on_start(self) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        reflection.enable_server_reflection((*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME), self.server)
        self.port = self.server.add_insecure_port(self._address)
        await self.server.start()

    @mode.Service.task
    async def _tell_health(self) -> None:
        told: str | None = "starting"
        while not self.should_stop:
            why = self.why_not_ready()
            if why != told:
                serving = health_pb2.HealthCheckResponse.SERVING if why is None else health_pb2.HealthCheckResponse.NOT_SERVING
                for name in ("", *self._names):
                    await self._health.set(name, serving)
                get_log().info("ready" if why is None else "not_ready", why=why, grpc_port=self.port)
                told = why
            await self.sleep(0.1)

    async def on_stop(self) -> None:
        await self._health.enter_graceful_shutdown()
        asyncio.get_running_loop().call_later(max(self._drain - 1.0, 0.0), self._gate.closing.set)
        await self.server.stop(self._drain)


def page(page_size: int, page_token: str, default: int, largest: int) -> tuple[int, int]:
    """Return (limit, offset) of a list request. Raise Refusal for a size or token that makes no sense."""
    if page_size < 0:
        raise Refusal("INVALID_PAGE", f"page_size is {page_size}; allowed: 0 to {largest}")
    if page_token and not (page_token.isascii() and page_token.isdigit()):
        raise Refusal("INVALID_PAGE", f"page_token {page_token!r} is not one we gave")
    return min(page_size or default, largest), int(page_token or 0)


def next_token(limit: int, offset: int, rows: Sequence[object]) -> str:
    """Return the token of the page after `rows`, of which limit + 1 were asked for; empty when it was the last."""
    return str(offset + limit) if len(rows) > limit else ""
