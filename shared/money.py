"""Money as an integer number of nano-units with its currency: exact in every database, and in JSON."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

NANO = 1_000_000_000
_PLACES = Decimal(1).scaleb(-9)
# The most that fits a 64-bit integer with room for sums over a million such amounts.
MOST = Decimal(1_000_000_000)
_PRECISION = 60
_PER_1K_TO_PER_MILLION = 1000
_MOST_PER_1K = 1_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in nano-units of one currency."""

    nano: int
    currency: str

    @property
    def decimal(self) -> Decimal:
        """The amount, exact, without trailing zeros."""
        return decimal_of(self.nano)

    @classmethod
    def of(cls, amount: object, currency: str) -> "Money":
        """The money that a number written by a person or a JSON text means; raises ValueError."""
        return cls(nano_of(amount), currency)


def decimal_of(nano: int) -> Decimal:
    """Nano-units as the shortest decimal number: never `1E+1`, never `0.100`."""
    whole, rest = divmod(abs(nano), NANO)
    sign = "-" if nano < 0 else ""
    digits = f"{rest:09d}".rstrip("0")
    return Decimal(f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}")


def exact(amount: object) -> Decimal:
    """The decimal that a number was written as; raises ValueError for what is not a finite number."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise ValueError("not a number")
    try:
        # str() of a float is the shortest text that means it: 0.1 stays 0.1.
        number = Decimal(str(amount))
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number


def nano_of(amount: object) -> int:
    """Nano-units of an amount, rounded half to even beyond the ninth place; raises ValueError."""
    number = exact(amount)
    if abs(number) > MOST:
        raise ValueError("too large an amount")
    with localcontext() as context:
        context.prec = _PRECISION
        return int(number.quantize(_PLACES, rounding=ROUND_HALF_EVEN).scaleb(9))


def per_million(per_1k: object) -> int:
    """Nano-units per million tokens of a price written per 1,000; raises ValueError."""
    number = exact(per_1k)
    if number < 0:
        raise ValueError("a price cannot be negative")
    if number > _MOST_PER_1K:
        raise ValueError("a price cannot be above 1000000 per 1,000 tokens")
    return round(number * _PER_1K_TO_PER_MILLION * NANO)


def divide(numerator: int, denominator: int) -> int:
    """The quotient of two integers, rounded half to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient
