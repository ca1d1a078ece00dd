"""What can be wrong with data that is not a matter of one file's format."""

from netx.errors import MonospikeError


class DataError(MonospikeError):
    """Pictures, sequences or a composition that cannot be had as asked."""
