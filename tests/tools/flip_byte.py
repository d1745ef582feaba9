# SPDX-License-Identifier: Apache-2.0
"""Inverts the lowest bit of one byte of a file.

    flip_byte.py FILE OFFSET
"""
import os
import sys


def main():
    path, offset = sys.argv[1], int(sys.argv[2])
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(offset)
        found = file.read(1)
        if not found:
            raise SystemExit(f"'{path}': no byte {offset}; the file has {os.path.getsize(path)}")
        old = found[0]
        file.seek(offset)
        file.write(bytes([old ^ 1]))
    print(f"{path}: byte {offset} was 0x{old:02x}, is 0x{old ^ 1:02x}")


if __name__ == "__main__":
    main()
