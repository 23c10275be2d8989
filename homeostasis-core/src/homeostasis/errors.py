"""The family of errors. Each message says what happened, where, and what to do."""

from __future__ import annotations


class HomeostasisError(Exception):
    """Base of all errors that Homeostasis raises on purpose."""

    exit_code = 3


class ConfigError(HomeostasisError):
    """A setting is unknown or wrong; names the key, the file and the nearest valid key."""

    exit_code = 2


class UsageError(HomeostasisError):
    """A command was called in a way that cannot work."""

    exit_code = 2


class PluginError(HomeostasisError):
    """A plugin that is needed is missing, refused or broken."""

    exit_code = 2


class RuleError(HomeostasisError):
    """A rule or template file is malformed; names the file, and the line and column where they are known."""

    exit_code = 2


class PatchConflict(HomeostasisError):
    """A file is not what the patch was made from; nothing was written."""


class UnsafePath(HomeostasisError):
    """A path leads out of the project or through a symbolic link; nothing was written."""


class SandboxError(HomeostasisError):
    """No isolated environment could be made."""


class DeployError(HomeostasisError):
    """A deployer could not do or undo its step; what it had begun is taken back."""


class LedgerError(HomeostasisError):
    """The ledger cannot be read or written."""
