from shared.translate.thoughts import without_unsigned_thoughts

SIGNED = b'{"type":"thinking","thinking":"a","signature":"s"}'
UNSIGNED = b'{"type": "thinking", "thinking": "b \\"signature\\":\\"\\"", "signature" : ""}'
TEXT = b'{"type":"text","text":"say \\"signature\\": \\"\\"", "x": 1.10}'


def request(*messages: bytes) -> bytes:
    return b'{"model":"m","odd":12345678901234567890123,"messages":[' + b",".join(messages) + b"]}"


def turn(*blocks: bytes) -> bytes:
    return b'{"role":"assistant","content":[' + b",".join(blocks) + b"]}"


def test_thoughts_that_anthropic_never_signed_leave_and_nothing_else_does() -> None:
    user = b'{"role":"user","content": "hi"}'
    assert without_unsigned_thoughts(request(user, turn(UNSIGNED, TEXT, SIGNED))) == request(user, turn(TEXT, SIGNED))
    assert without_unsigned_thoughts(request(user, turn(UNSIGNED))) == request(user)


def test_a_request_without_them_is_the_same_bytes() -> None:
    for body in (request(turn(SIGNED, TEXT)), b'{"signature":""', b'{"signature":"","messages":5}', b"[]"):
        assert without_unsigned_thoughts(body) is body


def test_empty_signatures_elsewhere_are_none_of_its_business() -> None:
    tool = b'{"type":"tool_use","id":"a","name":"f","input":{"signature":""}}'
    body = request(turn(tool))
    assert without_unsigned_thoughts(body) is body
