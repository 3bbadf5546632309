"""SQL of decisions."""

from collections.abc import Sequence

import sqlalchemy as sa

from muster.kit.errors import NotFound
from muster.kit.statements import Prepared, given, upsert
from services.staffing.domain.record import UNDER_WAY, DecisionRecord, from_body, to_body
from services.staffing.store import tables as t

_d = t.decision.c
_EXISTS = Prepared(sa.select(_d.decision_id).where(_d.decision_id == given("of_id")))
_of_group = _d.staffing_group == given("of_group")
_under_way = sa.select(_d.body).where(_d.state.in_(UNDER_WAY)).order_by(_d.decide_at, _d.staffing_group, _d.ordinal)
_UNDER_WAY, _UNDER_WAY_IN = Prepared(_under_way), Prepared(_under_way.where(_of_group))
_since = sa.select(_d.body).where(_of_group & (_d.decide_at >= given("since"))).order_by(_d.decide_at, _d.ordinal)
_SINCE, _SCALED_SINCE = Prepared(_since), Prepared(_since.where(_d.kind != "HOLD"))


def save(connection: sa.Connection, record: DecisionRecord) -> None:
    """Keep a decision as it is now."""
    row = {
        "decision_id": record.decision_id,
        "staffing_group": record.group,
        "kind": record.proposal.kind,
        "state": record.state,
        "decide_at": record.decide_at,
        "ordinal": record.ordinal,
        "effective_until": record.proposal.effective_until,
        "body": to_body(record),
    }
    upsert(connection, t.decision, [row])


def exists(connection: sa.Connection, decision_id: str) -> bool:
    return bool(_EXISTS.rows(connection, of_id=decision_id))


def load(connection: sa.Connection, decision_id: str) -> DecisionRecord:
    """Return a decision. Raise NotFound."""
    body = connection.execute(sa.select(t.decision.c.body).where(t.decision.c.decision_id == decision_id)).scalar()
    if body is None:
        raise NotFound("NO_SUCH_DECISION", f"no decision {decision_id}")
    return from_body(body)


def find(
    connection: sa.Connection, group: str = "", state: str = "", kind: str = "", limit: int = 100, offset: int = 0
) -> list[DecisionRecord]:
    """Return decisions, newest first."""
    d = t.decision
    query = sa.select(d.c.body).order_by(d.c.decide_at.desc(), d.c.staffing_group, d.c.ordinal).limit(limit).offset(offset)
    for column, value in ((d.c.staffing_group, group), (d.c.state, state), (d.c.kind, kind)):
        if value:
            query = query.where(column == value)
    return [from_body(body) for body in connection.execute(query).scalars()]


def under_way(connection: sa.Connection, group: str = "") -> list[DecisionRecord]:
    """Return decisions that are open, or accepted and not carried out yet, oldest first."""
    found = _UNDER_WAY_IN.column(connection, of_group=group) if group else _UNDER_WAY.column(connection)
    return [from_body(body) for body in found]


def since(connection: sa.Connection, group: str, decide_at: int) -> list[DecisionRecord]:
    """Return a group's decisions made from an instant on, oldest first."""
    return [from_body(b) for b in _SINCE.column(connection, of_group=group, since=decide_at)]


def scaled_since(connection: sa.Connection, group: str, decide_at: int) -> list[DecisionRecord]:
    """Return the same without holds."""
    return [from_body(b) for b in _SCALED_SINCE.column(connection, of_group=group, since=decide_at)]


def counts(connection: sa.Connection) -> Sequence[tuple[str, str, str, int]]:
    """Return (group, kind, state, how many)."""
    d = t.decision
    columns = (d.c.staffing_group, d.c.kind, d.c.state)
    rows = connection.execute(sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns))
    return [(r[0], r[1], r[2], int(r[3])) for r in rows]


def answered(connection: sa.Connection, request_id: str) -> str | None:
    """Return the decision that a request id answered before."""
    where = t.response.c.request_id == request_id
    return connection.execute(sa.select(t.response.c.decision_id).where(where)).scalar()


def remember_answer(connection: sa.Connection, request_id: str, decision_id: str) -> None:
    connection.execute(sa.insert(t.response).values(request_id=request_id, decision_id=decision_id))
