# SPDX-License-Identifier: Apache-2.0
"""Writes one 16-bit number over an element of a BF16 or F16 tensor.

    poke_tensor.py FILE TENSOR ELEMENT HEX_BITS
"""
import json
import struct
import sys


def main():
    path, name, element, bits = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4], 16)
    with open(path, "r+b") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        begin, end = json.loads(file.read(length))[name]["data_offsets"]
        at = begin + 2 * element
        assert at < end, f"{name} has {(end - begin) // 2} elements"
        file.seek(8 + length + at)
        file.write(struct.pack("<H", bits))


if __name__ == "__main__":
    main()
