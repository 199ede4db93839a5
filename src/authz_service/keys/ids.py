"""Names for sessions, holds and votes: unique everywhere, and in the order of their making."""

from __future__ import annotations

import secrets
import time

# Crockford's base 32 in lower case: no i, l, o or u, and its order is that of ASCII.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26  # 130 bits, the upper two of which are zero
RANDOM_LENGTH = 16  # of these digits, 80 bits

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_DIGIT_OF_BYTE = (ALPHABET * 8).encode()


def new_id(prefix: str) -> str:
    """A name such as `ses_01jd3k6w4vq0c2m8s9t7x5y1zb`: 48 bits of milliseconds, 80 of randomness."""
    randomness = secrets.token_bytes(RANDOM_LENGTH)
    return encode(prefix, milliseconds=time.time_ns() // 1_000_000, randomness=randomness)


def encode(prefix: str, *, milliseconds: int, randomness: bytes) -> str:
    """The name for a time (milliseconds since the epoch, below 2^48) and 16 random bytes, of 5 bits each."""
    if not 0 <= milliseconds < 1 << 48 or len(randomness) != RANDOM_LENGTH:
        raise ValueError("an id is made of 48 bits of time and 80 bits of randomness, in 16 bytes")
    upper, lower = milliseconds >> 20, milliseconds & 0xFFFFF
    time_digits = f"{_PAIRS[upper >> 20]}{_PAIRS[upper >> 10 & 1023]}{_PAIRS[upper & 1023]}"
    random_digits = randomness.translate(_DIGIT_OF_BYTE).decode()
    return f"{prefix}_{time_digits}{_PAIRS[lower >> 10]}{_PAIRS[lower & 1023]}{random_digits}"


def milliseconds_of(name: str) -> int:
    """When a name was made, in milliseconds since the epoch; raises `ValueError` for another text."""
    digits = name.rpartition("_")[2]
    if len(digits) != LENGTH:
        raise ValueError("not a name of ours")
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    return number >> 80
