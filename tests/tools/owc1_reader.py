# SPDX-License-Identifier: Apache-2.0
"""Chunks of an archive, read as schemas/archive.md says and in no other way: proof that the document
suffices. Slow and plain; numpy and zstandard do the work."""
import numpy as np
import zstandard

WIDTHS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
SMALLEST_BUCKET = 512


def frame(data, size):
    out = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    assert len(out) == size, "a frame of another size"
    return np.frombuffer(out, np.uint8)


class Payload:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, size):
        assert self.at + size <= len(self.data), "ends early"
        self.at += size
        return self.data[self.at - size:self.at]

    def plane(self, size):
        head = int.from_bytes(self.take(3), "little")
        form, body = head >> 22, self.take(head & 0x3FFFFF)
        if form == 0:
            out = np.frombuffer(body, np.uint8)
        elif form == 1:
            out = frame(body, size)
        elif form == 2:
            out = np.full(size, body[0] if size else 0, np.uint8)
        else:
            inner = Payload(body)
            bits = np.unpackbits(inner.plane((size + 7) // 8), bitorder="little")[:size].astype(bool)
            out = np.zeros(size, np.uint8)
            out[bits] = inner.plane(int(bits.sum()))
        assert len(out) == size, "a plane of another size"
        return out


def join(planes, width, turn):
    number = WIDTHS[width]
    value = np.zeros(len(planes[0]), number)
    for plane in planes:
        value = (value << number(8 if width > 1 else 0)) | plane.astype(number) if width > 1 else plane
    if turn:
        value = (value >> number(1)) | (value << number(8 * width - 1))
    return value


def steps(payload, base, width, mantissa_bits):
    """The numbers that `payload` makes of the base's."""
    number, bits = WIDTHS[width], 8 * width
    exponent_bits = bits - 1 - mantissa_bits
    used = min(exponent_bits, 8)
    bucket = (base >> number(mantissa_bits + exponent_bits - used)).astype(np.int64) & ((1 << used) - 1)
    order = np.argsort(bucket, kind="stable")
    counts = np.bincount(bucket, minlength=256)
    step = np.zeros(len(base), np.uint64)  # in the order of the buckets
    ends = np.cumsum(counts)
    large = [(int(end - n), int(end)) for n, end in zip(counts, ends) if n >= SMALLEST_BUCKET]
    shifts = []
    for begin, end in large:
        shifts.append(payload.take(1)[0])
        step[begin:end] = payload.plane(end - begin)
    count = sum(shift * (end - begin) for shift, (begin, end) in zip(shifts, large))
    low = np.unpackbits(np.frombuffer(payload.take((count + 7) // 8), np.uint8), bitorder="little")
    at = 0
    for shift, (begin, end) in zip(shifts, large):
        part = step[begin:end]
        for i in np.flatnonzero(part == 255):
            part[i] = int.from_bytes(payload.take(width), "little")
        own = low[at:at + shift * (end - begin)].reshape(end - begin, shift).astype(np.uint64)
        at += own.size
        part <<= np.uint64(shift)
        for bit in range(shift):
            part |= own[:, bit] << np.uint64(bit)
    small = [(int(end - n), int(end)) for n, end in zip(counts, ends) if 0 < n < SMALLEST_BUCKET]
    total = sum(end - begin for begin, end in small)
    for byte in range(width):
        plane, at = payload.plane(total).astype(np.uint64), 0
        for begin, end in small:
            step[begin:end] |= plane[at:at + end - begin] << np.uint64(8 * byte)
            at += end - begin
    in_place = np.zeros(len(base), number)
    in_place[order] = step.astype(number)
    half, one = number(1 << (bits - 1)), number(1)
    apart = (in_place >> one) ^ (np.zeros_like(in_place) - (in_place & one))
    place = np.where(base & half, ~base, base | half) + apart
    return np.where(place & half, place ^ half, ~place)


def chunk(form, payload, size, width, mantissa_bits, base=b""):
    """The bytes of a chunk: `mantissa_bits` None for numbers that are no floats."""
    if form == 0:
        return bytes(payload)
    if form == 1:
        return frame(payload, size).tobytes()
    if size % width:
        width, mantissa_bits = 1, None
    payload = Payload(payload)
    if form == 3:
        out = steps(payload, np.frombuffer(base, WIDTHS[width]), width, mantissa_bits)
    else:
        turn = form == 2 and mantissa_bits is not None and width > 1
        out = join([payload.plane(size // width) for _ in range(width)], width, turn)
    assert payload.at == len(payload.data), "something behind the end"
    if form == 4:
        out = np.frombuffer(out.tobytes(), np.uint8) ^ np.frombuffer(base, np.uint8)
    return out.tobytes()
