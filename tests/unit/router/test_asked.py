"""Requests to be translated: what no number type holds is the client's mistake."""

import pytest

from services.router.providers.base import asked
from shared.translate.terms import CannotTranslate


def test_a_number_out_of_every_range_is_refused_and_not_a_failure() -> None:
    assert asked(b'{"seed": 12345678901234567890123}') == {"seed": 12345678901234567890123}
    with pytest.raises(CannotTranslate):
        asked(b'{"seed": 1E400}')
