"""Words of the book: channels, metrics, levers and the like, as protos/muster/v1/book.proto names them."""

import enum


class Channel(enum.StrEnum):
    VOICE = "VOICE"
    CHAT = "CHAT"
    EMAIL = "EMAIL"
    BACK_OFFICE = "BACK_OFFICE"
    OUTBOUND = "OUTBOUND"


class AutonomyLevel(enum.StrEnum):
    SHADOW = "SHADOW"
    PILOT = "PILOT"
    LIVE = "LIVE"


class LeverKind(enum.StrEnum):
    OVERTIME = "OVERTIME"
    VOLUNTARY_TIME_OFF = "VOLUNTARY_TIME_OFF"
    MOVE = "MOVE"


class Direction(enum.StrEnum):
    UP = "UP"
    DOWN = "DOWN"


class Basis(enum.StrEnum):
    REALTIME = "REALTIME"
    OFFICIAL = "OFFICIAL"


class Reporting(enum.StrEnum):
    LIVE = "LIVE"
    END = "END"


class TargetMetric(enum.StrEnum):
    SERVICE_LEVEL = "SERVICE_LEVEL"
    ASA = "ASA"
    ABANDONMENT = "ABANDONMENT"
    OCCUPANCY_CAP = "OCCUPANCY_CAP"
    DEADLINE_MET = "DEADLINE_MET"


class ServiceLevelDefinition(enum.StrEnum):
    ANSWERED_OVER_OFFERED = "ANSWERED_OVER_OFFERED"
    ANSWERED_OVER_ANSWERED = "ANSWERED_OVER_ANSWERED"
    LESS_SHORT_ABANDONS = "LESS_SHORT_ABANDONS"
    ABANDONED_IN_TIME_COUNT = "ABANDONED_IN_TIME_COUNT"


class Aggregation(enum.StrEnum):
    CONTACT_WEIGHTED = "CONTACT_WEIGHTED"
    MEAN_OF_INTERVALS = "MEAN_OF_INTERVALS"
    SHARE_OF_INTERVALS = "SHARE_OF_INTERVALS"
    SHARE_OF_DAYS = "SHARE_OF_DAYS"


class ClockStart(enum.StrEnum):
    QUEUE_ENTRY = "QUEUE_ENTRY"
    RING = "RING"
    IVR_ENTRY = "IVR_ENTRY"


class Pooling(enum.StrEnum):
    DEDICATED = "DEDICATED"
    SHARED_NAMED = "SHARED_NAMED"
    POOLED = "POOLED"


class OverrideMeasure(enum.StrEnum):
    VOLUME = "VOLUME"
    AHT = "AHT"


class OverrideOperation(enum.StrEnum):
    SET = "SET"
    ADD = "ADD"
    MULTIPLY = "MULTIPLY"
    AT_LEAST = "AT_LEAST"
    AT_MOST = "AT_MOST"
