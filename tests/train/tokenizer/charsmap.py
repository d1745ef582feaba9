# SPDX-License-Identifier: Apache-2.0
"""sentencepiece's precompiled character maps, made from a dictionary."""
import struct

BLOCK = 256  # every node has a block of its own, so that no two children meet


def charsmap(rules):
    """The bytes of a map that replaces each key of `rules` by its value."""
    texts, places = b"", {}
    for value in rules.values():
        if value not in places:
            places[value] = len(texts)
            texts += value.encode() + b"\0"
    children, leaves = [{}], [None]
    for key, value in rules.items():
        node = 0
        for byte in key.encode():
            if byte not in children[node]:
                children[node][byte] = len(children)
                children.append({})
                leaves.append(None)
            node = children[node][byte]
        leaves[node] = places[value]
    # Block 0 holds the root unit, block n + 1 the children of node n.
    units = [0] * (BLOCK * (len(children) + 1))

    def set_unit(place, node, label):
        base = BLOCK * (node + 1)
        # An offset of more than 21 bits keeps only those from bit 8 on.
        offset = place ^ base
        wide = offset >= 1 << 21
        assert not wide or offset % 256 == 0 and offset < 1 << 29
        units[place] = ((offset >> 8) << 10 | 1 << 9 if wide else offset << 10) | label
        if leaves[node] is not None:
            units[place] |= 1 << 8
            units[base] = leaves[node] | 1 << 31

    set_unit(0, 0, 0)
    for node, edges in enumerate(children):
        for byte, child in edges.items():
            set_unit(BLOCK * (node + 1) ^ byte, child, byte)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts
