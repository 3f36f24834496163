#!/usr/bin/env python3
"""The gateway beside nginx and vllm-router in one run: run.py BASELOAD EXAMPLES VLLM_ROUTER [--rounds N] [--seconds S] [--soak N].

Each has one processor, and takes its turn in every round; ratios are taken inside a round, figures are medians over rounds.
Processor time is the kernel's own count, so that a busy machine makes it little worse. A bar that is missed is printed as such.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile

import measure
import peers
import soak

SCENARIOS = ["plain-1", "plain-32", "plain-256", "burst-32", "paced-64"]


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("baseload")
    parser.add_argument("examples", type=pathlib.Path)
    parser.add_argument("vllm_router", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--soak", type=int, default=500_000, help="requests; 0 leaves it out")
    return parser.parse_args()


def turns(options, load_cpu, things):
    """Every reading, by scenario, round and name."""
    found = {}
    program = options.examples / "bench_load"
    for number in range(options.rounds):
        for scenario in options.scenarios.split(","):
            for thing in things:
                found[scenario, number, thing.name] = measure.measure(program, load_cpu, thing, scenario, options.seconds)
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return found


class Table:
    """Medians over rounds, and ratios inside them."""

    def __init__(self, found, rounds):
        self.found, self.rounds = found, rounds

    def median(self, scenario, name, key):
        """A figure of one peer."""
        return statistics.median(self.found[scenario, number, name][key] for number in range(self.rounds))

    def beside(self, scenario, other, key, by=lambda own, their: own / their if their else float("inf")):
        """How baseload's figure stands to another's, in each round."""
        pairs = [(self.found[scenario, n, "baseload"][key], self.found[scenario, n, other][key]) for n in range(self.rounds)]
        return statistics.median(by(own, their) for own, their in pairs)

    def show(self, scenario, names):
        """One scenario's rows."""
        streamed = not scenario.startswith("plain")
        unit = "us/chunk" if streamed else "us/request"
        print(f"\n{scenario:<12}{'req/s':>9}{'CPU ' + unit:>16}{'x nginx':>9}{'first ms':>10}{'added p50':>11}{'added p99':>11}{'RSS MiB':>9}{'errors':>8}")
        for name in names:
            key = "cpu_us_chunk" if streamed else "cpu_us_request"
            rates = [self.found[scenario, n, name]["requests"] / self.found[scenario, n, name]["seconds"] for n in range(self.rounds)]
            ratio = [self.found[scenario, n, name][key] / self.found[scenario, n, "nginx"][key] for n in range(self.rounds)] if "nginx" in names else [0]
            added = lambda key, name=name: statistics.median(
                (self.found[scenario, n, name][key] - self.found[scenario, n, "upstream"][key]) / 1e3 for n in range(self.rounds)
            )
            errors = sum(self.found[scenario, n, name]["errors"] for n in range(self.rounds))
            own = name == "upstream"
            print(
                f"{name:<12}{statistics.median(rates):>9.0f}"
                + ("               -        -" if own else f"{self.median(scenario, name, key):>16.1f}{statistics.median(ratio):>9.2f}")
                + f"{self.median(scenario, name, 'first_p50_us') / 1e3:>10.2f}{added('whole_p50_us'):>11.2f}{added('whole_p99_us'):>11.2f}"
                + f"{self.median(scenario, name, 'rss_mib'):>9.1f}{errors:>8}"
            )


def show_threads(table, scenarios):
    """Where baseload's time went, by thread."""
    print("\nbaseload's processor time a request, by thread")
    for scenario in scenarios:
        rounds = [table.found[scenario, number, "baseload"]["by_thread"] for number in range(table.rounds)]
        spent = {name: statistics.median(part.get(name, 0) for part in rounds) for part in rounds for name in part}
        shown = sorted(((us, name) for name, us in spent.items() if us > 0.05), reverse=True)
        print(f"{scenario:<12}" + ", ".join(f"{name} {us:.1f} us" for us, name in shown))


def bars(table, options, names):
    """What was promised, and how it stands."""
    scenarios, rows = options.scenarios.split(","), []
    ratio = lambda scenario, other, key, bar: rows.append(
        (f"{scenario}: {key.replace('cpu_us_', 'CPU a ')} to {other}'s", table.beside(scenario, other, key), bar, "x")
    )
    if "plain-32" in scenarios:
        ratio("plain-32", "nginx", "cpu_us_request", 2.0)
        if "vllm-router" in names:
            ratio("plain-32", "vllm-router", "cpu_us_request", 0.6)
    if "paced-64" in scenarios:
        ratio("paced-64", "nginx", "cpu_us_chunk", 1.2)
        late = table.beside("paced-64", "nginx", "first_p50_us", lambda own, their: (own - their) / 1e3)
        rows.append(("paced-64: first chunk after nginx's", late, 0.3, "ms"))
    rows.append(("resident memory", max(table.median(scenario, "baseload", "rss_mib") for scenario in scenarios), 64, "MiB"))
    return rows


def show_bars(rows):
    """A line each; true when all hold."""
    print(f"\n{'':<52}{'figure':>10}{'bar':>8}")
    for what, figure, bar, unit in rows:
        print(f"{what:<52}{figure:>8.2f} {unit:<3}{bar:>6} {'holds' if figure <= bar else 'SHORT'}")
    return all(figure <= bar for _, figure, bar, _ in rows)


def main():
    """Starts all, measures in turns, ends all."""
    options = arguments()
    load_cpu, peer_cpu = peers.free_places()
    started, rows = [], []
    with tempfile.TemporaryDirectory(prefix="baseload-bench-") as made:
        folder = pathlib.Path(made)
        try:
            started.append(peers.upstream(options.examples, folder, load_cpu))
            at = started[0].port
            started.append(peers.nginx(at, folder, peer_cpu).wait())
            if options.vllm_router:
                started.append(peers.vllm_router(options.vllm_router, at, folder, peer_cpu).wait())
            started.append(peers.baseload(options.baseload, at, folder, peer_cpu).wait())
            table = Table(turns(options, load_cpu, started), options.rounds)
            names = [thing.name for thing in started]
            for scenario in options.scenarios.split(","):
                table.show(scenario, names)
            show_threads(table, options.scenarios.split(","))
            rows += bars(table, options, names)
            if options.soak:
                started.pop().stop()
                rows += soak.run(options, at, folder, load_cpu, peer_cpu)
        finally:
            for thing in reversed(started):
                thing.stop()
    show_bars(rows)


if __name__ == "__main__":
    main()
