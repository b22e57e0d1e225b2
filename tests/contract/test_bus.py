"""One suite for every bus: memory and RabbitMQ behave alike."""

import asyncio

import pytest

from shared.bus import Message, Queue, make_bus
from shared.errors import BusUnroutable


@pytest.fixture(params=["memory", "rabbitmq"])
async def bus(request):
    url = "memory://" if request.param == "memory" else request.getfixturevalue("amqp_url")
    bus = make_bus(url)
    await bus.open()
    assert await bus.wait_connected(20)
    yield bus
    await bus.close()


async def take(subscription, seconds=5):
    async with asyncio.timeout(seconds):
        async for delivery in subscription:
            return delivery
    return None


async def test_a_message_arrives_with_everything_it_carried(bus):
    await bus.declare(Queue("work"))
    async with bus.subscribe("work", prefetch=10) as subscription:
        await bus.send("work", Message(b"hello", message_id="m", correlation_id="c", reply_to="r", headers={"a": "b"}))
        delivery = await take(subscription)
        assert delivery.message.body == b"hello"
        assert (delivery.message.message_id, delivery.message.correlation_id, delivery.message.reply_to) == (
            "m",
            "c",
            "r",
        )
        assert delivery.message.headers["a"] == "b"
        assert delivery.delivery_count == 1
        await delivery.ack()


async def test_a_message_waits_for_a_consumer(bus):
    await bus.declare(Queue("work"))
    await bus.send("work", Message(b"early"))
    async with bus.subscribe("work", prefetch=1) as subscription:
        assert (await take(subscription)).message.body == b"early"


async def test_a_send_to_no_queue_is_told_at_once(bus):
    with pytest.raises(BusUnroutable):
        await bus.send("nowhere", Message(b"x"))


async def test_what_was_not_acknowledged_is_delivered_again(bus):
    await bus.declare(Queue("work"))
    await bus.send("work", Message(b"x"))
    async with bus.subscribe("work", prefetch=1) as first:
        assert (await take(first)).delivery_count == 1
    async with bus.subscribe("work", prefetch=1) as second:
        again = await take(second)
        assert again.delivery_count == 2
        await again.ack()


async def test_a_rejected_message_goes_to_the_dead_letters(bus):
    await bus.declare(Queue("work", dead_letter="dead"))
    await bus.send("work", Message(b"bad"))
    async with bus.subscribe("work", prefetch=1) as subscription, bus.subscribe("dead", prefetch=1) as dead:
        await (await take(subscription)).reject(requeue=False)
        buried = await take(dead)
        assert buried.message.body == b"bad"
        assert buried.message.headers["x-dead-reason"] == "rejected"


async def test_a_message_that_fails_again_and_again_is_dead_lettered(bus):
    await bus.declare(Queue("work", delivery_limit=2, dead_letter="dead"))
    await bus.send("work", Message(b"poison"))
    async with bus.subscribe("work", prefetch=1) as subscription, bus.subscribe("dead", prefetch=1) as dead:
        for _ in range(3):
            await (await take(subscription)).reject(requeue=True)
        assert (await take(dead)).message.headers["x-dead-reason"] == "delivery_limit"


async def test_a_message_that_waits_too_long_is_dead_lettered(bus):
    await bus.declare(Queue("work", dead_letter="dead"))
    await bus.send("work", Message(b"late", expires_seconds=0.2))
    async with bus.subscribe("dead", prefetch=1) as dead:
        buried = await take(dead)
        assert buried.message.body == b"late"
        assert buried.message.headers["x-dead-reason"] == "expired"


async def test_prefetch_bounds_what_one_consumer_holds(bus):
    await bus.declare(Queue("work"))
    for number in range(5):
        await bus.send("work", Message(str(number).encode()))
    async with bus.subscribe("work", prefetch=2) as subscription:
        held = await subscription.batch(5, 0.3)
        assert [delivery.message.body for delivery in held] == [b"0", b"1"]
        for delivery in held:
            await delivery.ack()
        assert len(await subscription.batch(5, 0.3)) == 2


async def test_consumers_share_the_work(bus):
    await bus.declare(Queue("work"))
    async with bus.subscribe("work", prefetch=1) as one, bus.subscribe("work", prefetch=1) as two:
        await bus.send("work", Message(b"a"))
        await bus.send("work", Message(b"b"))
        first, second = await asyncio.gather(take(one), take(two))
        assert {first.message.body, second.message.body} == {b"a", b"b"}


async def test_only_one_consumer_of_a_single_active_queue_works(bus):
    await bus.declare(Queue("ledger", single_active=True))
    async with bus.subscribe("ledger", prefetch=10) as one, bus.subscribe("ledger", prefetch=10) as two:
        for number in range(4):
            await bus.send("ledger", Message(str(number).encode()))
        held = await one.batch(4, 2)
        assert len(held) == 4
        with pytest.raises(TimeoutError):
            await take(two, 0.2)
        for delivery in held:
            await delivery.ack()


async def test_a_delayed_message_comes_later(bus):
    await bus.declare(Queue("work", retry_seconds=(1,)))
    await bus.send("work", Message(b"later"), delay_seconds=1)
    async with bus.subscribe("work", prefetch=1) as subscription:
        with pytest.raises(TimeoutError):
            await take(subscription, 0.5)
        assert (await take(subscription)).message.body == b"later"


async def test_everybody_who_listens_hears_a_broadcast(bus):
    async with bus.listen("news") as one, bus.listen("news") as two:
        await bus.broadcast("news", Message(b"extra"))
        assert (await take(one)).message.body == b"extra"
        assert (await take(two)).message.body == b"extra"


async def test_replies_reach_the_inbox_in_order(bus):
    async with bus.inbox() as inbox:
        for number in range(20):
            await bus.post(inbox.address, Message(str(number).encode(), correlation_id="call"))
        came = []
        async with asyncio.timeout(5):
            async for message in inbox:
                came.append(int(message.body))
                if len(came) == 20:
                    break
        assert came == list(range(20))


async def test_a_post_to_nobody_is_dropped(bus):
    await bus.post("inbox.gone", Message(b"x"))


async def test_depth_counts_what_waits(bus, eventually):
    await bus.declare(Queue("work"))
    await bus.send("work", Message(b"a"))
    await bus.send("work", Message(b"b"))

    async def two():
        return await bus.depth("work") == 2

    await eventually(two)
    assert await bus.depth("unknown") is None
