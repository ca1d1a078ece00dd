"""Errors that are the user's to mend. Every message says what is wrong, where, and what to do."""


class MonospikeError(Exception):
    """Base of every error the command line prints as one message with exit code 2."""


class NetworkError(MonospikeError):
    """A network, layer, synapse or neuron that could not exist on the chip."""


class FormatError(MonospikeError):
    """A file that is not what it should be; the message starts with its path. place: inside the file, may be empty."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class HeadroomError(MonospikeError):
    """An accumulator that may leave the range in which every engine agrees."""
