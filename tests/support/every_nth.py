# SPDX-License-Identifier: Apache-2.0
"""Which points of a sweep a short run takes."""


def every_nth(points, every):
    """Each N-th, from the middle of the first N on; of a short list the one in its middle, so that no
    command is without."""
    return points[min(every, len(points)) // 2::every]
