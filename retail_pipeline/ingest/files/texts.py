"""Which encoding a text file has, settled on evidence."""

from __future__ import annotations

import codecs
from pathlib import Path

from retail_pipeline.ingest.files.unpacked import BLOCK, Packing, RefusalError, unpacked
from retail_pipeline.ingest.profiles.dialects import DialectError, encoding_of
from retail_pipeline.ingest.text_rows import LongLineError, lines_of

HEAD_BYTES = 1 << 16
EVIDENCE_BYTES = 1 << 20
_DECLARED = "declared in the profile"
_UNTIL_THEN = "rows beyond ASCII are unreadable until then"


def head_of(path: Path, packing: Packing) -> tuple[bytes, bool]:
    """A file's first bytes, unpacked, and whether they are all of it."""
    with unpacked(path, packing) as stream:
        head = stream.read(HEAD_BYTES + 1)
    return head[:HEAD_BYTES], len(head) <= HEAD_BYTES


def head_encoding(head: bytes, whole: bool, declared: str | None) -> tuple[str, str, bool]:
    """Python's name of the encoding (UTF-16 with its byte order) of a file that begins so; why; if for sure.

    Where it is not for sure, ask ``encoding_at``, which reads all of the file.

    Raises:
        RefusalError: the file is in an encoding that is not read.
    """
    said = codecs.lookup(declared).name if declared else None
    try:
        found, why = encoding_of(head, whole)
    except DialectError as error:
        found, why = "", str(error)
    if found.startswith("utf-32"):
        raise RefusalError("is UTF-32, which nobody else writes: have it saved as UTF-8")
    if found.startswith("utf-16"):
        return _with_order(found, head), why, True
    if said is not None and said.startswith("utf"):
        return _with_order(said, head), _DECLARED, True
    if found == "utf-8-sig" or (found == "utf-8" and said is None):
        return "utf-8", why, whole or said is not None
    if said is not None and (head.isascii() or found != "utf-8"):
        return said, _DECLARED, whole
    return found or "utf-8", why if found else f"{why}; {_UNTIL_THEN}", whole


def encoding_at(path: Path, packing: Packing, declared: str | None = None) -> tuple[str, str]:
    """Python's name of a file's encoding (UTF-16 with its byte order), and why.

    Text that is Unicode beyond doubt is read as such whatever was declared. What is not Unicode, and could be
    several encodings, counts as UTF-8 where none was declared: rows with letters beyond ASCII are unreadable.

    Raises:
        RefusalError: the file is not whole, or in an encoding that is not read.
    """
    encoding, why, sure = head_encoding(*head_of(path, packing), declared)
    if sure or (encoding == "utf-8" and declared is None and _is_utf8(path, packing)):
        return encoding, why
    return _settled_encoding(path, packing, declared)


def json_encoding(path: Path, packing: Packing) -> tuple[str, str]:
    """The encoding of JSON, and why: UTF-8, as its standard has it, unless it shows to be UTF-16."""
    encoding, why, _ = head_encoding(*head_of(path, packing), "utf-8")
    return encoding, "JSON is UTF-8" if encoding == "utf-8" else why


def _is_utf8(path: Path, packing: Packing) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with unpacked(path, packing) as stream:
        try:
            while block := stream.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _settled_encoding(path: Path, packing: Packing, declared: str | None) -> tuple[str, str]:
    """The encoding, as all the lines of the file beyond ASCII show it."""
    evidence, valid, invalid = bytearray(), 0, 0
    try:
        with unpacked(path, packing) as stream:
            for line in lines_of(stream):
                if line.isascii():
                    continue
                try:
                    line.decode()
                    valid += 1
                except UnicodeDecodeError:
                    invalid += 1
                if len(evidence) < EVIDENCE_BYTES:
                    evidence += line
    except LongLineError as error:
        raise RefusalError(f"is no text ({error}): have it delivered again") from error
    if valid and not invalid:
        return "utf-8", "every line beyond ASCII is valid UTF-8"
    if declared is not None:
        return codecs.lookup(declared).name, _DECLARED
    try:
        found, why = encoding_of(bytes(evidence), True)
    except DialectError as error:
        return "utf-8", f"{error}; {_UNTIL_THEN}"
    return _with_order(found, b""), why


def _with_order(encoding: str, head: bytes) -> str:
    if encoding == "utf-16":
        return "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    return "utf-8" if encoding == "utf-8-sig" else encoding
