"""Volume from a client system in ten lines: python examples/publish_volume.py 127.0.0.1:9092"""

import json
import sys
from datetime import UTC, datetime

from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers=sys.argv[1], value_serializer=lambda v: json.dumps(v).encode())
now = datetime.now(UTC).isoformat()
call = {"contactId": "call-1", "revision": 1, "arrivedAt": now, "stage": "STAGE_OFFERED"}
fact = {"queue": "bank/calls", "feed": "telephony", "contacts": [call]}
producer.send("muster.volume.observed.v1", key=b"bank/calls", value=fact)
progress = {"client": "bank", "feed": "telephony", "completeThrough": now}
producer.send("muster.feed.progressed.v1", key=b"bank/telephony", value=progress)
producer.flush()
