"""Tables that are kept for a day and seldom asked for, small while they are not."""

from __future__ import annotations

import pickle
import zlib
from typing import TYPE_CHECKING, Any, ClassVar


class Packed:
    """A base of things with tables, which `pack` puts away as compressed bytes.

    A table of pandas takes tens of kilobytes whatever it holds, and remembers every column that
    was ever taken out of it as long as it lives. A packed table is made anew each time it is asked
    for; an attribute that is set stays as it was set until the next `pack`.
    """

    tables: ClassVar[tuple[str, ...]] = ()

    def pack(self) -> None:
        """Put the tables away."""
        mine = self.__dict__
        fresh = {name: mine.pop(name) for name in self.tables if name in mine}
        if fresh:
            whole = pickle.dumps(self._away() | fresh, protocol=5)
            mine["_packed"] = zlib.compress(whole, 1)

    def _away(self) -> dict[str, Any]:
        packed = self.__dict__.get("_packed")
        return pickle.loads(zlib.decompress(packed)) if packed else {}

    @property
    def packed(self) -> bool:
        """Whether no table has been set since they were put away."""
        return "_packed" in self.__dict__ and not any(name in self.__dict__ for name in self.tables)

    if not TYPE_CHECKING:  # a name that is nowhere stays an error of types

        def __getattr__(self, name: str) -> Any:
            # Only for what is not there: tables that are put away.
            if name not in type(self).tables or "_packed" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")
            return self._away()[name]
