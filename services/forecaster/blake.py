"""A contact's fingerprint, compiled: BLAKE2b (RFC 7693) of one block, as hashlib's with digest_size 12, of which the first 7 bytes are kept."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    np.int64,
)
MIXED = np.array([[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13],
                  [3, 4, 9, 14]], np.int64)  # fmt: skip

compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@compiled
def _turn(x: Any, n: Any) -> Any:
    return (x >> np.uint64(n)) | (x << np.uint64(64 - n))


@compiled
def fingerprint_of(buffer: Any, at: Any, size: Any, v: Any, m: Any) -> Any:
    """Return the fingerprint of `size` bytes, at most one block; v and m are scratch."""
    for i in range(16):
        m[i] = np.uint64(0)
    for i in range(size):
        m[i >> 3] |= np.uint64(buffer[at + i]) << np.uint64(8 * (i & 7))
    head = IV[0] ^ np.uint64(0x01010000) ^ np.uint64(12)
    for i in range(8):
        v[i] = IV[i]
        v[i + 8] = IV[i]
    v[0] = head
    v[12] ^= np.uint64(size)
    v[14] = ~v[14]
    for round_ in range(12):
        s = SIGMA[round_ % 10]
        for g in range(8):
            a, b, c, d = MIXED[g, 0], MIXED[g, 1], MIXED[g, 2], MIXED[g, 3]
            v[a] = v[a] + v[b] + m[s[2 * g]]
            v[d] = _turn(v[d] ^ v[a], 32)
            v[c] = v[c] + v[d]
            v[b] = _turn(v[b] ^ v[c], 24)
            v[a] = v[a] + v[b] + m[s[2 * g + 1]]
            v[d] = _turn(v[d] ^ v[a], 16)
            v[c] = v[c] + v[d]
            v[b] = _turn(v[b] ^ v[c], 63)
    low, found = head ^ v[0] ^ v[8], np.int64(0)
    for i in range(7):
        found = (found << np.int64(8)) | np.int64((low >> np.uint64(8 * i)) & np.uint64(255))
    return found
