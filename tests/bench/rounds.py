# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: interleaved rounds, child processes with peak memory, ratios."""
import os
import resource
import statistics
import subprocess
import sys
import time


def run_child(command, **options):
    """Runs a command to its success; gives wall seconds and stdout."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as child:
        output, errors = child.communicate()
        wall = time.perf_counter() - start
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {child.returncode}\n{errors.decode()}")
    return wall, output.decode()


def run_child_with_peak(command, **options):
    """As run_child, with the command's peak resident memory in bytes between the two. The fork makes
    the command the only child whose peak is asked for."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        wall, output = run_child(command, **options)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        with os.fdopen(write_end, "w") as pipe:
            pipe.write(f"{wall} {peak}\n{output}")
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        head, _, output = pipe.read().partition("\n")
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)
    wall, peak = head.split()
    return float(wall), int(peak), output


def interleave(runners, rounds):
    """name -> list of results; A B C, A B C, …, so that a slow minute hits everyone."""
    results = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            results[name].append(runner())
    return results


def spread(values, unit, digits=3):
    return (f"{statistics.median(values):.{digits}f} {unit} "
            f"[{min(values):.{digits}f} … {max(values):.{digits}f}]")


def ratio_text(numerators, denominators):
    """Ratio of medians, with the smallest and largest ratio within one round."""
    ratio = statistics.median(numerators) / statistics.median(denominators)
    each = [a / b for a, b in zip(numerators, denominators)]
    return ratio, f"{ratio:.2f} x [{min(each):.2f} … {max(each):.2f}]"


def verdict(ok):
    return "reached" if ok else "MISSED"
