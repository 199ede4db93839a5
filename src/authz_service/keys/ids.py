"""Names for sessions, holds and votes: unique everywhere, and in the order of their making."""

from __future__ import annotations

import secrets
import time

# Crockford's base 32 in lower case: no i, l, o or u, and its order is that of ASCII.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26  # 130 bits, the upper two of which are zero


def new_id(prefix: str) -> str:
    """A name such as `ses_01jd3k6w4vq0c2m8s9t7x5y1zb`: 48 bits of milliseconds, 80 of randomness."""
    return encode(prefix, milliseconds=time.time_ns() // 1_000_000, randomness=secrets.token_bytes(10))


def encode(prefix: str, *, milliseconds: int, randomness: bytes) -> str:
    """The name for a time (milliseconds since the epoch, below 2^48) and 10 random bytes."""
    if not 0 <= milliseconds < 1 << 48 or len(randomness) != 10:
        raise ValueError("an id is made of 48 bits of time and 80 bits of randomness")
    number = (milliseconds << 80) | int.from_bytes(randomness, "big")
    digits = [ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def milliseconds_of(name: str) -> int:
    """When a name was made, in milliseconds since the epoch; raises `ValueError` for another text."""
    digits = name.rpartition("_")[2]
    if len(digits) != LENGTH:
        raise ValueError("not a name of ours")
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    return number >> 80
