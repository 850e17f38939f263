"""Errors a user can act on: one line each, naming the value, what is allowed and the remedy."""


class LithoscopeError(Exception):
    """Base of every error that Lithoscope raises on purpose; its text is one line for the user."""


class DataError(LithoscopeError, ValueError):
    """Input data (waveforms, picks, tables) cannot be used as given."""


class StationError(LithoscopeError, ValueError):
    """Station metadata is missing, contradictory or out of range."""


class ModelError(LithoscopeError, ValueError):
    """A velocity model or a trained model cannot be used as given."""


class ConfigError(LithoscopeError, ValueError):
    """A setting is unknown or out of range."""


class StorageError(LithoscopeError, OSError):
    """Results cannot be written or read back (permissions, disk full, damaged store)."""


class ConvergenceError(LithoscopeError, RuntimeError):
    """An iterative method stopped without an answer."""
