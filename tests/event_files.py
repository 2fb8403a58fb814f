"""Small event recordings in the formats of event cameras, written by their published descriptions."""

from __future__ import annotations

import struct

import numpy as np

COLUMNS = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]


def events(seed=0, count=60, size=(4, 5), duration=10_000):
    """A structured array of x, y, t in microseconds and p, the first at 0 and the last at the end of `duration`."""
    draw = np.random.default_rng(seed)
    found = np.zeros(count, COLUMNS)
    found["x"], found["y"] = draw.integers(0, size[1], count), draw.integers(0, size[0], count)
    found["t"] = np.sort([0, duration - 1, *draw.integers(0, duration, count - 2)])
    found["p"] = draw.random(count) < 0.5
    return found


def aedat2(found, chip="DVS128"):
    head = f"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# AEChip: ch.ini.{chip}\r\n".encode()
    x, y, p = (found[name].astype(np.int64) for name in "xyp")
    address = x << 1 | y << 8 | p if chip == "DVS128" else x << 12 | y << 22 | p << 11
    return head + np.stack([address, found["t"]], 1).astype(">u4").tobytes()


def packet(kind, rows, size=8, overflow=0):
    return struct.pack("<hhiiiiii", kind, 1, size, 4, overflow, len(rows), len(rows), len(rows)) + rows.astype("<u4").tobytes()


def aedat3(found, source="DVS128", overflow=0):
    """Two packets of events, one that is not valid, and a packet of another type between them."""
    head = (
        f"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: {source}\r\n#Start-Time: 2016-01-01 (TZ+0100)\r\n#!END-HEADER\r\n".encode()
    )
    x, y, p = (found[name].astype(np.int64) for name in "xyp")
    rows = np.stack([x << 17 | y << 2 | p << 1 | 1, found["t"]], 1)
    spoilt = rows[:1] - [[1, 0]]
    half = len(rows) // 2
    other = packet(0, np.zeros((2, 2)))
    return (
        head
        + packet(1, rows[:half], overflow=overflow)
        + other
        + packet(1, np.concatenate([rows[half:], spoilt]), overflow=overflow)
    )


def aedat4(found, size=(4, 5)):
    """One stream of events, without compression: a header, a packet, and sizes before both, as flatbuffers."""
    node = '<node name="{}" path="{}">{}</node>'
    info = "".join(f'<attr key="size{axis}" type="int">{side}</attr>' for axis, side in (("X", size[1]), ("Y", size[0])))
    stream = '<attr key="typeIdentifier" type="string">EVTS</attr>' + node.format("info", "/o/0/info/", info)
    xml = f'<dv version="2.0">{node.format("outInfo", "/o/", node.format("0", "/o/0/", stream))}</dv>'
    rows = np.zeros(len(found), np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?"), ("rest", "V3")]))
    for name in "txyp":
        rows[name] = found[name]
    content = table_of_events(rows.tobytes(), len(rows))
    return b"#!AER-DAT4.0\r\n" + io_header(xml.encode()) + struct.pack("<ii", 0, len(content)) + content


def io_header(xml):
    """IOHeader: compression (0, left out), position of the table of packets (-1), and the description."""
    vtable = struct.pack("<HHHHH", 10, 16, 0, 4, 12)
    table = struct.pack("<iqi", 0, -1, 4)  # where the vtable is follows below
    body = b"\0\0" + vtable + table + struct.pack("<i", len(xml)) + xml + b"\0"
    return sized(body, b"IOHE", 2 + len(vtable), 10)


def table_of_events(rows, count):
    """EventPacket: a vector of structs, aligned to eight bytes."""
    vtable = struct.pack("<HHH", 6, 8, 4)
    table = struct.pack("<ii", 0, 8)  # the vector begins four bytes further, so that its structs are aligned
    body = b"\0\0" + vtable + table + b"\0" * 4 + struct.pack("<i", count) + rows
    return sized(body, b"EVTS", 2 + len(vtable), 6)


def sized(body, identifier, table, vtable):
    """A flatbuffer with its size before it; the root table says how far before it its vtable is."""
    body = body[:table] + struct.pack("<i", vtable) + body[table + 4 :]
    content = struct.pack("<i", 8 + table) + identifier + body
    return struct.pack("<i", len(content)) + content
