"""Recordings of event cameras in the AEDAT formats 2.0, 3.1 and 4.0.

Source: iniVation, documentation of the AEDAT file formats. Rows and columns are counted as in the file: of 2.0 from the lower
left corner.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from transpike.datasets.events.binning import Events
from transpike.errors import DataError, require

SENSORS = {"dvs128": (128, 128), "davis128": (128, 128), "davis240": (180, 240), "davis346": (260, 346), "davis640": (480, 640)}
VERSION = re.compile(rb"#!AER-DAT(\d\.\d)\r?\n")
LATEST = 1 << 16  # bytes of a header at most
PACKET = struct.Struct("<hhiiiiii")  # type, source, size, offset of times, overflow, capacity, number, valid
POLARITY, EVENT = 1, 8  # the type of packets with events, and the bytes of one
END = b"#!END-HEADER"


def from_aedat(path: Path) -> Events:
    """Return the polarity events of a recording; raises DataError for what is damaged or of another format."""
    with path.open("rb") as file:
        begin = file.read(64)
    version = VERSION.match(begin)
    if version is None:
        raise DataError(f"{path} is no AEDAT file: it does not begin with #!AER-DAT and a version.")
    readers = {b"2.0": from_2, b"3.1": from_3, b"4.0": from_4}
    if version[1] not in readers:
        raise DataError(f"{path} is AEDAT {version[1].decode()}, and 2.0, 3.1 and 4.0 can be read: convert it with DV.")
    return readers[version[1]](path)


def header(content: bytes, path: Path) -> tuple[list[bytes], int]:
    """Return the lines of a header and where the data begin."""
    lines, begin = [], 0
    while content[begin : begin + 1] == b"#":
        end = content.find(b"\n", begin, begin + LATEST)
        if end < 0:
            raise DataError(f"{path} is damaged: its header does not end.")
        lines.append(content[begin:end].strip())
        begin = end + 1
        if lines[-1].startswith(END):
            break
    return lines, begin


def sensor(lines: list[bytes]) -> tuple[str, tuple[int, int]] | None:
    """Return the sensor that a header names, with its height and width, if it is a known one."""
    for line in lines:
        if not re.match(rb"#\s*(AEChip|Source \d+|HardwareInterface)", line):
            continue
        found = next(((name, size) for name, size in SENSORS.items() if name in line.decode(errors="replace").lower()), None)
        if found is not None:
            return found
    return None


def from_2(path: Path) -> Events:
    """Return the events of AEDAT 2.0: pairs of address and microseconds, big-endian, 32 bits each."""
    content = path.read_bytes()
    lines, begin = header(content, path)
    body = content[begin:]
    if len(body) % EVENT:
        raise DataError(f"{path} is damaged: {len(body):,} bytes of events are no multiple of {EVENT}.")
    rows = np.frombuffer(body, ">u4").reshape(-1, 2).astype(np.int64)
    known = sensor(lines)
    if known is None:
        raise DataError(
            f"{path} does not name its sensor, which tells what its addresses mean; known are {', '.join(SENSORS)}."
        )
    name, size = known
    address, times = rows[:, 0], rows[:, 1]
    if name == "dvs128":
        kept = address & 0xFFFF8000 == 0  # of 15 bits: more are marks from outside
        x, y, p = address >> 1 & 0x7F, address >> 8 & 0x7F, address & 1
    else:
        kept = address & 0x80000400 == 0  # neither pixels of frames nor marks from outside
        x, y, p = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
    return Events(x[kept], y[kept], times[kept], p[kept], size)


def from_3(path: Path) -> Events:
    """Return the events of AEDAT 3.1: packets, little-endian; those of other types than polarity are passed over."""
    content = path.read_bytes()
    lines, place = header(content, path)
    if not lines[-1].startswith(END):
        raise DataError(f"{path} is damaged: its header does not end.")
    parts: list[np.ndarray] = []
    while place < len(content):
        if place + PACKET.size > len(content):
            raise DataError(f"{path} is damaged: it ends within the head of a packet.")
        kind, _, size, _, overflow, _, number, _ = PACKET.unpack_from(content, place)
        place += PACKET.size
        if size < 1 or number < 0 or size * number > len(content) - place:
            left = len(content) - place
            raise DataError(
                f"{path} is damaged: a packet claims {number:,} events of {size:,} bytes, and {left:,} bytes are left."
            )
        if kind == POLARITY and size == EVENT and number:
            rows = np.frombuffer(content, "<u4", 2 * number, place).reshape(-1, 2).astype(np.int64)
            rows[:, 1] += overflow << 31
            parts.append(rows[rows[:, 0] & 1 == 1])
        place += size * number
    rows = np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)
    data, known = rows[:, 0], sensor(lines)
    return Events(data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, rows[:, 1], data >> 1 & 1, None if known is None else known[1])


def from_4(path: Path) -> Events:
    """Return the events of the first stream of events in an AEDAT 4.0 file, read by the package aedat."""
    aedat: Any = require("aedat", "events", "AEDAT 4.0")
    try:
        decoder = aedat.Decoder(str(path))
        streams = {key: one for key, one in decoder.id_to_stream().items() if one["type"] == "events"}
        chosen = min(streams, default=None)
        parts = [packet["events"] for packet in decoder if packet["stream_id"] == chosen and "events" in packet]
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{path} is damaged: {error}.") from None
    if chosen is None:
        raise DataError(f"{path} holds no stream of events.")
    rows = np.concatenate(parts) if parts else np.zeros(0, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
    x, y, t, p = (rows[name].astype(np.int64) for name in ("x", "y", "t", "on"))
    stream = streams[chosen]
    return Events(x, y, t, p, (int(stream["height"]), int(stream["width"])))
