"""A floor to play on: arrivals, patience, agents, breaks. It does not share the requirement's assumptions."""
