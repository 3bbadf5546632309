"""Erlang B, C and A: the service that n agents give, in any of the trade's definitions, and the fewest that keep a target.

`blocking` has B, `waiting` C and A with their sources, `fewest` the search.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.staffing.domain.blocking import DEEP, compiled, fewest_lines, inverse_b
from services.staffing.domain.fewest import (
    BY_ABANDONED,
    BY_ASA,
    BY_OCCUPANCY,
    BY_WAITS,
    SL_ALL,
    SL_ANSWERED,
    SL_EXCLUDED,
    SL_OFFERED,
    SL_VIRTUAL,
    fewest,
    measure,
)
from services.staffing.domain.waiting import (
    ABANDONED,
    ANSWERED,
    ASA,
    LEFT_SHORT,
    LEFT_WITHIN,
    NUMBERS,
    REACHED,
    WAIT_OF_ALL,
    WAITS,
    WITHIN,
    erlang_a,
    erlang_c,
    serve,
)

__all__ = [
    "ABANDONED",
    "ANSWERED",
    "ASA",
    "BY_ABANDONED",
    "BY_ASA",
    "BY_OCCUPANCY",
    "BY_WAITS",
    "DEEP",
    "LEFT_SHORT",
    "LEFT_WITHIN",
    "NUMBERS",
    "REACHED",
    "SL_ALL",
    "SL_ANSWERED",
    "SL_EXCLUDED",
    "SL_OFFERED",
    "SL_VIRTUAL",
    "WAITS",
    "WAIT_OF_ALL",
    "WITHIN",
    "Floats",
    "Ints",
    "Load",
    "Service",
    "compiled",
    "erlang_a",
    "erlang_c",
    "fewest",
    "fewest_agents_for",
    "fewest_lines",
    "inverse_b",
    "measure",
    "serve",
    "service",
    "warm_up",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def _serve_all(agents: Any, erlangs: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any) -> Any:
    for i in range(len(agents)):
        serve(agents[i], erlangs[i], handle[i], patience[i], threshold, short, DEEP, found[i])


@compiled
def _fewest_all(
    kind: Any, target: Any, erlangs: Any, handle: Any, patience: Any, threshold: Any, short: Any, found: Any
) -> Any:
    out = np.zeros(NUMBERS)
    for i in range(len(erlangs)):
        found[i] = fewest(kind, target, erlangs[i], handle[i], patience[i], threshold, short, out)


@dataclasses.dataclass(frozen=True)
class Load:
    """Arrays (I,): arrivals per second, mean handle time in seconds, mean patience in seconds (inf: nobody leaves); carried: the load in
    erlangs where it is not what is offered in the interval (None: it is)."""

    arrivals: Floats
    handle: Floats
    patience: Floats
    carried: Floats | None = None

    def __post_init__(self) -> None:
        for name, values in (("arrivals", self.arrivals), ("carried", self.carried)):
            if values is not None and not (np.isfinite(values).all() and (values >= 0).all()):
                raise ValueError(f"{name} are {values}; allowed: finite, 0 or more")
        if not (np.isfinite(self.handle).all() and (self.handle > 0).all() and (self.patience > 0).all()):
            raise ValueError(
                f"handle is {self.handle}, patience {self.patience}; allowed: seconds above 0, patience may be inf"
            )

    @property
    def erlangs(self) -> Floats:
        """Load as carried, else offered: arrivals × handle time."""
        return self.arrivals * self.handle if self.carried is None else self.carried

    def pick(self, rows: NDArray[np.bool_] | Ints) -> "Load":
        carried = None if self.carried is None else self.carried[rows]
        return Load(self.arrivals[rows], self.handle[rows], self.patience[rows], carried)


@dataclasses.dataclass(frozen=True)
class Service:
    """Arrays (I,), 0–1 but for asa in seconds: what n agents give. `waits` P(V > 0); `abandoned` of offered;
    `within` answered within T, of offered; `left_within` abandoned within T, of offered; `left_short` within the short threshold.
    """

    waits: Floats
    answered: Floats
    abandoned: Floats
    within: Floats
    left_within: Floats
    left_short: Floats
    asa: Floats
    occupancy: Floats


def _rows(load: Load) -> tuple[Floats, Floats, Floats]:
    return load.erlangs, np.ascontiguousarray(load.handle, float), np.ascontiguousarray(load.patience, float)


def service(load: Load, agents: Floats | Ints, threshold: float, short: float = 0.0) -> Service:
    """Return the service of real numbers of agents (I,); T and the short threshold in seconds. No agents: nobody is answered."""
    found, n = np.zeros((load.arrivals.size, NUMBERS)), np.asarray(agents, float)
    erlangs, handle, patience = _rows(load)
    _serve_all(n, erlangs, handle, patience, float(threshold), float(short), found)
    answered = found[:, ANSWERED]
    with np.errstate(divide="ignore", invalid="ignore"):
        occupancy = np.where(n > 0, np.minimum(erlangs * answered / n, 1.0), 0.0)
    return Service(
        waits=found[:, WAITS],
        answered=answered,
        abandoned=found[:, ABANDONED],
        within=found[:, WITHIN],
        left_within=found[:, LEFT_WITHIN],
        left_short=found[:, LEFT_SHORT],
        asa=found[:, ASA],
        occupancy=occupancy,
    )


def fewest_agents_for(kind: int, target: float, load: Load, threshold: float, short: float) -> Ints:
    """Return the fewest whole agents (I,) that keep a target of a kind (SL_OFFERED … BY_OCCUPANCY). Raise ValueError for one that no number
    keeps."""
    most = 1.0 if kind <= SL_VIRTUAL else np.inf if kind == BY_ASA else np.nextafter(1.0, 2.0)
    if not (SL_OFFERED <= kind <= BY_OCCUPANCY and 0 < target < most and 0 <= threshold < np.inf and 0 <= short < np.inf):
        told = f"kind is {kind}, target {target}, threshold {threshold}, short {short}"
        raise ValueError(f"{told}; allowed: a target above 0, below 1 of a service level, seconds 0 or more")
    erlangs, handle, patience = _rows(load)
    found = np.zeros(erlangs.size, np.int64)
    _fewest_all(kind, float(target), erlangs, handle, patience, float(threshold), float(short), found)
    return found


def warm_up() -> None:
    """Compile, or load what was compiled before: a fraction of a second then, several at first."""
    for patience in (np.inf, 60.0):
        one = Load(np.array([0.01]), np.array([60.0]), np.array([patience]))
        service(one, fewest_agents_for(SL_OFFERED, 0.8, one, 20.0, 0.0), 20.0)
