# SPDX-License-Identifier: Apache-2.0
"""Errors that say what was received, what was expected and how to mend it."""


class LowbitError(Exception):
    """Base of every error lowbit raises on purpose; its text is one line."""


class InputError(LowbitError):
    """Wrong usage or unusable input; the command line exits with 2.

    >>> raise InputError(received="epochs=0", expected="at least 1 epoch", mend="pass --epochs 1 or more")
    Traceback (most recent call last):
    lowbit.errors.InputError: received epochs=0; expected at least 1 epoch; pass --epochs 1 or more
    """

    def __init__(self, *, received: object, expected: object, mend: object) -> None:
        self.received, self.expected, self.mend = str(received), str(expected), str(mend)
        text = f"received {self.received}; expected {self.expected}; {self.mend}"
        super().__init__(" ".join(text.split()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.received, self.expected, self.mend)


class UnsupportedError(InputError):
    """The request is well formed, but this model or recipe cannot do it; a row becomes `unsupported`."""


class FileFormatError(InputError):
    """A file is truncated, damaged, unsafe, or of another format than its name says."""


class ExportError(LowbitError):
    """The exporter could not write a file that computes what the simulation computes."""


class MissingExtraError(InputError):
    """An optional package is not installed; the text names the exact pip command."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            received=f"no installed package {package!r}",
            expected=f"the extra {extra!r}",
            mend=f"run: pip install 'lowbit[{extra}]'",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return MissingExtraError, (self.package, self.extra)


def _rebuild(kind: type[InputError], received: str, expected: str, mend: str) -> InputError:
    return kind(received=received, expected=expected, mend=mend)
