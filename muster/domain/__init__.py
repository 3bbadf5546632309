"""The planner's vocabulary: interval, calendar, money, quantities. Pure: no I/O, no clock, no settings."""
