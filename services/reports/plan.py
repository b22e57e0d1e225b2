"""Constants of the job's life: how long a lease holds, when a retry comes, how long anything may take."""

from typing import NamedTuple

from shared.bus import Queue

# What stages keep, as its shape goes: a job begun by an older version does its stages anew.
CHECKPOINTS = 2
LEASE_SECONDS = 20.0
BEAT_SECONDS = 4.0
JOB_SECONDS = 900.0
RETRY_SECONDS = (5, 30, 120, 600)
MOST_FAILURES = 4
MOST_BUG_FAILURES = 1
CAP_RETRY_SECONDS = 3.0
WEBHOOK_SECONDS = (5, 30, 120, 600, 3600, 21_600, 86_400)
SWEEP_SECONDS = 2.0
UNHEARD_SECONDS = 60.0
RETENTION_EVERY_SECONDS = 600.0
METADATA_DAYS = 365
QUEUE = "reports.jobs"
DEAD_QUEUE = "reports.dead"
QUEUES = (Queue(QUEUE, delivery_limit=5, dead_letter=DEAD_QUEUE), Queue(DEAD_QUEUE))
MOST_WAITING_PER_OWNER = 1000


class Limits(NamedTuple):
    """What the configuration says, read anew for each job."""

    running_per_owner: int
    retention_days: int
    evidence_days: int
