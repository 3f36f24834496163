"""Half a million requests on one gateway, with room on the disk and without: memory at the start, in the middle and at the end."""

import subprocess

import measure
import peers

SCENARIO = "plain-32"
WARM = 20_000
# Room for a state directory and some thousand requests: full before the warm-up ends.
SMALL = "size=24m,mode=0700"


def run(options, at, folder, load_cpu, peer_cpu):
    """Both soaks, as rows of figure and bar."""
    rows = soak("memory grown", options, peers.baseload(options.baseload, at, folder, peer_cpu, folder / "soak"), load_cpu)
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(small)], capture_output=True, check=False)
    if mounted.returncode:
        print("\nsoak with the disk full: left out, as no small disk can be mounted here")
        return rows
    try:
        full = peers.baseload(options.baseload, at, folder, peer_cpu, small)
        return rows + soak("memory grown, disk full", options, full, load_cpu)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def soak(what, options, gateway, load_cpu):
    """One soak: how much memory grew from after the warm-up to the end, in percent."""
    program = options.examples / "bench_load"
    try:
        gateway.wait()
        seen, resident = [], []
        for count in (WARM, options.soak // 2, options.soak - options.soak // 2):
            seen.append(measure.load(program, load_cpu, gateway, SCENARIO, f"{count}x"))
            resident.append(measure.rss_mib(gateway.pid))
    finally:
        gateway.stop()
    answered, refused = (sum(part[key] for part in seen) for key in ("requests", "errors"))
    shown = " -> ".join(f"{mib:.1f}" for mib in resident)
    print(f"\nsoak, {what}: {answered} answered, {refused} refused {seen[-1]['by_status']}; RSS {shown} MiB")
    return [(f"{what} over {options.soak} requests", 100 * (max(resident) / resident[0] - 1), 5, "%"), (f"{what}: at most", max(resident), 64, "MiB")]
