"""A bounded store of answers made before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value", bytes, str)


class Cache(Generic[Value]):
    """Keeps the values used last, up to ``size`` characters or bytes in all; safe in threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value; the ones not used for longest make room."""
        if len(value) > self.size:
            return
        with self._lock:
            old = self._values.pop(key, None)
            self._held += len(value) - (0 if old is None else len(old))
            self._values[key] = value
            while self._held > self.size:
                _, dropped = self._values.popitem(last=False)
                self._held -= len(dropped)
