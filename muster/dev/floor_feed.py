"""The simulated floor as a client system: what happened becomes messages, and schedule messages become duties."""

import dataclasses
import math
from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from muster.simulator.floor import Duty, Floor
from muster.simulator.lines import ContactRecord
from muster.v1 import attendance_pb2, feed_pb2, floor_pb2, schedule_pb2, volume_pb2

STAGES = {
    "OFFERED": volume_pb2.STAGE_OFFERED,
    "TAKEN": volume_pb2.STAGE_OFFERED,
    "ANSWERED": volume_pb2.STAGE_ANSWERED,
    "WRAPPED": volume_pb2.STAGE_WRAPPED,
    "ABANDONED": volume_pb2.STAGE_ABANDONED,
}
STATES = {
    "AVAILABLE": floor_pb2.AGENT_STATE_AVAILABLE,
    "ON_CONTACT": floor_pb2.AGENT_STATE_ON_CONTACT,
    "AUX": floor_pb2.AGENT_STATE_AUX,
    "LOGGED_OUT": floor_pb2.AGENT_STATE_LOGGED_OUT,
}
FEED = "telephony"


def contact_message(record: ContactRecord) -> volume_pb2.Contact:
    """Return a contact's full state so far."""
    caller = record.caller
    message = volume_pb2.Contact(
        contact_id=caller.contact_id,
        revision=record.revision,
        arrived_at=Timestamp(seconds=int(caller.arrives)),
        stage=STAGES[record.stage],
        origin=volume_pb2.ORIGIN_OUTBOUND if caller.dialled else volume_pb2.ORIGIN_NEW,
        queue_seconds=record.wait,
    )
    if record.stage == "WRAPPED" and record.took is not None:
        stretch = (record.took - caller.dialled) / (caller.talk + caller.after_call)
        message.talk_seconds, message.after_call_seconds = caller.talk * stretch, caller.after_call * stretch
    if caller.due < math.inf:
        message.due_by.seconds = int(caller.due)
    return message


def volume_messages(records: Iterable[ContactRecord]) -> list[volume_pb2.VolumeObserved]:
    """Return one message a queue with everything that changed."""
    by_queue: dict[str, volume_pb2.VolumeObserved] = {}
    for record in records:
        queue = record.caller.queue
        message = by_queue.setdefault(queue, volume_pb2.VolumeObserved(queue=queue, feed=FEED, basis=1))  # type: ignore[arg-type]
        message.contacts.append(contact_message(record))
    return [by_queue[queue] for queue in sorted(by_queue)]


def progress_message(client: str, through: int) -> feed_pb2.FeedProgressed:
    """Return the word that everything before an instant has been told."""
    return feed_pb2.FeedProgressed(client=client, feed=FEED, complete_through=Timestamp(seconds=through))


def picture(floor: Floor, site: str, now: int) -> floor_pb2.FloorObserved:
    """Return a full picture of a site: agents who aren't in it are logged out."""
    message = floor_pb2.FloorObserved(snapshot_id=f"{site}-{now}", snapshot_sites=[site], observed_at=Timestamp(seconds=now))
    for agent in floor.agents.values():
        if agent.site == site and agent.state != "LOGGED_OUT":
            message.agents.add(
                agent=agent.agent,
                site=site,
                state=STATES[agent.state],
                aux_code=agent.reason if agent.state == "AUX" else "",
                queues=[agent.queue] if agent.queue else [],
                open_contacts=len(agent.contacts),
                since=Timestamp(seconds=max(int(agent.since), 1)),
            )
    return message


def sick_message(agent: str, site: str, begin: int, end: int, reported_at: int) -> attendance_pb2.AttendanceReported:
    """Return a sick call."""
    return attendance_pb2.AttendanceReported(
        attendance_id=f"{agent}-{begin}",
        revision=1,
        agent=agent,
        site=site,
        kind=attendance_pb2.ATTENDANCE_KIND_SICK,
        starts_at=Timestamp(seconds=begin),
        ends_at=Timestamp(seconds=end),
        reported_at=Timestamp(seconds=reported_at),
    )


@dataclasses.dataclass
class Roster:
    """The schedule in force as the floor sees it: shifts by agent and week, from schedule messages."""

    weeks: dict[tuple[str, str], tuple[int, list[schedule_pb2.Shift]]] = dataclasses.field(default_factory=dict)
    pending: dict[tuple[str, int], list[schedule_pb2.AgentWeek]] = dataclasses.field(default_factory=dict)

    def take(self, message: schedule_pb2.SchedulePublished) -> set[str]:
        """Take a message; return the agents whose shifts changed, once a version is whole."""
        if message.WhichOneof("part") == "agent_week":
            week = message.agent_week
            self.pending.setdefault((week.staffing_group, week.version), []).append(week)
            return set()
        manifest = message.manifest
        changed = set()
        for week in self.pending.pop((manifest.staffing_group, manifest.version), []):
            version, _ = self.weeks.get((week.agent, week.week), (0, []))
            if week.version > version:
                self.weeks[week.agent, week.week] = (week.version, list(week.shifts))
                changed.add(week.agent)
        return changed

    def shifts(self, agent: str, begin: int, end: int) -> list[schedule_pb2.Shift]:
        """Return an agent's shifts that touch [begin, end), in order."""
        mine = [s for (a, _), (_, shifts) in self.weeks.items() if a == agent for s in shifts]
        kept = [s for s in mine if s.ends_at.seconds > begin and s.starts_at.seconds < end]
        return sorted(kept, key=lambda s: s.starts_at.seconds)

    def duties(self, agent: str, begin: int, end: int) -> list[Duty]:
        """Return what an agent is to do between two instants."""
        return [
            Duty(g.starts_at.seconds, g.ends_at.seconds, g.queue, "" if g.queue else g.activity)
            for s in self.shifts(agent, begin, end)
            for g in s.segments
            if g.activity != "voluntary-time-off"
        ]

    def copy(self) -> "Roster":
        """Return the roster as it is now."""
        return Roster(dict(self.weeks), {})
