#!/usr/bin/env python3
"""Half a million requests on one gateway, with room on the disk and without: memory while warm, in the middle and at the end.

By itself: soak.py RELEASE [--soak N] [--seconds S] [--json FILE], with cargo's folder of release builds; in so many seconds only as many
requests as a slow machine can do.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import measure
import peers

SCENARIO = "plain-32"
# After these the database's log and the caches have about the size that they stay at. What comes later is held against the most of a few
# readings, as one alone is at times a low one.
WARM, READINGS = 50_000, (10_000,) * 5
# Room for a state directory and some thousand requests: full before the warm-up ends.
SMALL = "size=24m,mode=0700"


def run(options, at, folder, load_cpu, peer_cpu):
    """Both soaks, as rows of figure and bar."""
    rows = soak("memory grown", options, peers.baseload(options.baseload, at, folder, peer_cpu, folder / "soak"), load_cpu)
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(small)], capture_output=True, check=False)
    if mounted.returncode and os.environ.get("CI"):
        raise SystemExit(f"soak with the disk full: no small disk can be mounted here: {mounted.stderr.decode()}")
    if mounted.returncode:
        print("\nsoak with the disk full: left out, as no small disk can be mounted here")
        return rows
    try:
        full = peers.baseload(options.baseload, at, folder, peer_cpu, small)
        return rows + soak("memory grown, disk full", options, full, load_cpu)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def soak(what, options, gateway, load_cpu):
    """One soak: by how much memory at its end is more than it ever was while warm, in percent."""
    program = options.examples / "bench_load"
    try:
        gateway.wait()
        seen, resident = [], []
        for count in (WARM, *READINGS, options.soak // 2, options.soak - options.soak // 2):
            seen.append(measure.load(program, load_cpu, gateway, SCENARIO, f"{count}x"))
            resident.append(measure.rss_mib(gateway.pid))
    finally:
        gateway.stop()
    answered, refused = (sum(part[key] for part in seen) for key in ("requests", "errors"))
    shown = " -> ".join(f"{mib:.1f}" for mib in resident)
    print(f"\nsoak, {what}: {answered} answered, {refused} refused {seen[-1]['by_status']}; RSS {shown} MiB")
    warm, later = resident[:-2], resident[-2:]
    grown = 100 * (max(later) / max(warm) - 1)
    return [(f"{what} over {options.soak} requests", grown, 5, "%"), (f"{what}: at most", max(resident), 64, "MiB")]


# So many requests a second, both soaks together, are done by a machine that does little else.
A_SECOND = 1_500


def main():
    """Both soaks by themselves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("release", type=pathlib.Path)
    parser.add_argument("--soak", type=int, default=500_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", help="not used: each request is like the other")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.baseload, options.examples = str(options.release / "baseload"), options.release / "examples"
    options.soak = int(max(20_000, min(options.soak, options.seconds * A_SECOND / 2)))
    load_cpu, peer_cpu = peers.free_places()
    with tempfile.TemporaryDirectory(prefix="baseload-soak-") as made:
        folder = pathlib.Path(made)
        upstream = peers.upstream(options.examples, folder, load_cpu)
        try:
            rows = run(options, upstream.port, folder, load_cpu, peer_cpu)
        finally:
            upstream.stop()
    for what, figure, bar, unit in rows:
        print(f"{what:<52}{figure:>8.2f} {unit:<3}{bar:>6} {'holds' if figure <= bar else 'SHORT'}")
    if options.json:
        options.json.write_text(json.dumps({"requests": options.soak * len(rows) // 2}))
    sys.exit(any(figure > bar for _, figure, bar, _ in rows))


if __name__ == "__main__":
    main()
