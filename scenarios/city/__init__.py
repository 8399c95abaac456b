"""A whole mesh in one process, to tell stories with and to break: n devices, two tiers, faults as data."""

from scenarios.city.city import City, Equipment
from scenarios.city.faults import Cut, Fault, Heal, Kill, Schedule, Stall, suffer
from scenarios.city.streets import Streets, Tier
from scenarios.city.tls import TLS
from scenarios.city.virtual import VIRTUAL

__all__ = [
    "City",
    "Cut",
    "Equipment",
    "Fault",
    "Heal",
    "Kill",
    "Schedule",
    "Stall",
    "Streets",
    "TLS",
    "Tier",
    "VIRTUAL",
    "suffer",
]
