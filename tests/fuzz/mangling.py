"""Valid messages, and what becomes of them: decided by a seed alone. Pure."""

import copy
import json
import random

EDGES = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**400, 0.5, 1e308, -0.0,
    float("nan"), float("inf"), "", "\0", "\ud800", "é\u202e\x1b[2J", "a" * 300, [], {}, [[]],
    {"": {}}, [None] * 50, "disk", "stop", "9" * 5000,
)  # fmt: skip
MAX_NOISE_BYTES = 200
MAX_LONG = 60_000
SHARES = {
    "whole": 10,
    "tree": 45,
    "bytes": 25,
    "splice": 8,
    "noise": 10,
    "deep": 1,
    "long": 1,
}
"""Of a hundred frames."""


class Mangler:
    """An endless source of frames, most of them nearly valid."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def frame(self, corpus: list[dict]) -> bytes:
        """Make a frame out of one or two messages; never empty."""
        (kind,) = self._chance.choices([*SHARES], [*SHARES.values()])
        return getattr(self, f"_{kind}")(corpus) or b"?"

    def below(self, limit: int) -> int:
        """Return a number of the same sequence."""
        return self._chance.randrange(limit)

    def _whole(self, corpus: list[dict]) -> bytes:
        return json.dumps(self._chance.choice(corpus)).encode()

    def _tree(self, corpus: list[dict]) -> bytes:
        message = json.loads(json.dumps(self._chance.choice(corpus)))
        for _ in range(1 + (self.below(4) == 0)):
            self._change(message)
        return json.dumps(message).encode()

    def _change(self, message: dict) -> None:
        node = message
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = self._chance.choice(keys)
            inner = node[key]
            if not isinstance(inner, dict | list) or not inner or self.below(3) == 0:
                break
            node = inner
        act = self.below(5)
        if act == 0:
            del node[key]
        elif act == 1 and isinstance(node, dict):
            node[f"{key}_"] = inner
        else:
            node[key] = copy.deepcopy(self._chance.choice(EDGES))

    def _bytes(self, corpus: list[dict]) -> bytes:
        body = bytearray(self._whole(corpus))
        for _ in range(1 + self.below(4)):
            at, length = self.below(len(body) + 1), self.below(8)
            act = self.below(4)
            if act == 0:
                body[at : at + 1] = bytes([self.below(256)])
            elif act == 1:
                del body[at : at + length]
            elif act == 2:
                body[at:at] = self._chance.randbytes(length)
            else:
                body[at:at] = body[at : at + 4 * length]
        return bytes(body[: self.below(len(body) + 1)] if self.below(6) == 0 else body)

    def _splice(self, corpus: list[dict]) -> bytes:
        one, other = self._whole(corpus), self._whole(corpus)
        return one[: self.below(len(one) + 1)] + other[self.below(len(other) + 1) :]

    def _noise(self, corpus: list[dict]) -> bytes:
        return self._chance.randbytes(1 + self.below(MAX_NOISE_BYTES))

    def _deep(self, corpus: list[dict]) -> bytes:
        return self._chance.choice([b"[", b'{"a":', b'[{"":']) * (1 + self.below(5_000))

    def _long(self, corpus: list[dict]) -> bytes:
        message = json.loads(json.dumps(self._chance.choice(corpus)))
        message[self._chance.choice([*message])] = "x" * self.below(MAX_LONG)
        return json.dumps(message).encode()
