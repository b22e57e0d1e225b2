"""Several of each behind one door: any container may die under load; only its own open streams go with it.

As `test_compose.py`, it runs when TOLLWAY_TEST_COMPOSE=1.
"""

from collections import Counter

import pytest

from chaos.load import Load
from tests.system.compose import SERVICES, TOKEN, docker, stack
from tests.system.stack import wait_for

REPLICAS = [each for name in SERVICES for each in ("--scale", f"{name}=2")]
THREADS = 6
# What a client sees of a call that its gateway or router took along.
BROKEN = ("connection lost", "in-stream error", "status 502", "status 503")
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def compose():
    with stack(scale=True, replicas=REPLICAS) as made:
        yield made


@pytest.fixture(scope="module")
def load(compose):
    made = Load(compose.url, THREADS, seed=11, models=("o-ok", "a-ok", "o-slow-20", "a-slow-20", "o-echo"))
    made.token = TOKEN
    made.start()
    yield made
    made.stop()


def healthy(container):
    return docker("inspect", "-f", "{{.State.Running}} {{.State.Health.Status}}", container) == "true healthy"


def crash(container):
    """Kill the process from outside, as the kernel would: the engine's own `kill` counts as stopped on purpose."""
    pid, started = docker("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", container).split()
    docker("run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "sh", "nginx:stable", "-c", f"kill -9 {pid}")
    wait_for(
        lambda: docker("inspect", "-f", "{{.State.StartedAt}}", container) != started, 60, "the engine starts it again"
    )


def answered(load, more):
    begin = load.outcomes["ok"]
    wait_for(lambda: load.outcomes["ok"] >= begin + more, 60, f"{more} more answers")


def broken(load):
    return sum(load.outcomes[name] for name in BROKEN)


@pytest.mark.parametrize("service", [*SERVICES, "redis", "rabbitmq", "postgres"])
def test_a_killed_container_takes_no_more_than_its_own_open_streams(compose, load, service):
    for container in compose.containers(service):
        answered(load, 20)
        before = broken(load)
        crash(container)
        answered(load, 20)
        wait_for(lambda container=container: healthy(container), 300, "the container is healthy again")
        lost = broken(load) - before
        print(f"{service}: {lost} of {THREADS} open calls lost", dict(load.outcomes))
        # Each client has one call at a time: more failures than clients would mean that calls fail after the crash, too.
        assert lost <= (THREADS if service in ("gateway", "router") else 0)


def test_the_ledger_is_exact_after_all_that(compose, load):
    load.stop()
    theirs, ours = compose.balanced(120)
    # An attempt whose router died between noting it and sending it is one the provider knows nothing of.
    unsent = [event for event in ours if event["status"] == "interrupted" and event["usage_source"] == "none"]
    print("outcomes", dict(load.outcomes), "provider", len(theirs), "ledger", len(ours), "perhaps unsent", len(unsent))
    assert len(theirs) > 200
    assert len(ours) - len(unsent) <= len(theirs) <= len(ours)
    assert len({event["event_id"] for event in ours}) == len(ours)
    # What was told to a client in full was booked in full: to the token, in the same number of answers.
    told = Counter(
        (event["input_tokens"], event["output_tokens"]) for event in ours if event["usage_source"] == "provider"
    )
    finished = Counter((call["input_tokens"], call["output_tokens"]) for call in theirs if call["finished"])
    assert not told - finished
    assert compose.ask("/api/ai_usage/health")["gaps"] == 0
    day = compose.ask("/api/ai_usage/stats/daily?days_ago=0")
    assert day["total_calls"] == len(ours)


def test_every_replica_took_part(compose):
    for container in [each for name in ("gateway", "router") for each in compose.containers(name)]:
        script = "import urllib.request as u;p={'gateway':8080,'router':8081}[__import__('os').environ['TOLLWAY_SERVICE']];print(u.urlopen(f'http://127.0.0.1:{p}/metrics').read().decode())"
        text = docker("exec", container, "python", "-c", script)
        counted = [
            line
            for line in text.splitlines()
            if line.startswith(("tollway_requests_total", "tollway_router_attempts_total"))
        ]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) > 0
